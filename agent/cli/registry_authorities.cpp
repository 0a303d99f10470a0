// CA roll-over, backup and restore.
#include <fmt/format.h>

#include "agent/base/file.hpp"
#include "agent/base/text.hpp"
#include "agent/cli/registry_commands.hpp"
#include "agent/io/crypto.hpp"
#include "omnitide/node/v1/registry.pb.h"

namespace omnitide::cli {

namespace v1 = node::v1;

namespace {

constexpr std::size_t kMostBackup = 512U << 20U;

std::string authorities_text(const v1::CertificateAuthorityList& list, const Console& console) {
  Table table({{"STATE"}, {"ENDS"}, {"DELIVERED", true}, {"FINGERPRINT", false, true}});
  for (const v1::CertificateAuthority& ca : list.items()) {
    const std::string delivered = ca.state() == "retired" ? "" : fmt::format("{}/{}", ca.delivered_to(), ca.nodes());
    table.row({ca.state(), relative(ca.not_after(), ca.has_not_after()), delivered, ca.fingerprint()});
  }
  return table.render(console);
}

// Rewrites the operator's ca.crt with every CA that counts, so that this operator is not locked out by a roll-over.
Result<> keep_authorities(RegistryClient& client) {
  v1::CertificateAuthorityList list;
  if (Result<> got = client.call("GET", "/v1/authorities", nullptr, list); got.has_error()) return got;
  std::string pem;
  for (const v1::CertificateAuthority& ca : list.items()) {
    if (ca.state() != "retired") pem += io::to_pem(ca.certificate_der());
  }
  return write_file_durably(client.place().ca, pem, 0600);
}

int change(const RegistrySession& registry, RegistryClient& client, const std::string& verb, const Query& query) {
  v1::CertificateAuthority ca;
  const Result<> done = client.call("POST", "/v1/authorities:" + verb, nullptr, ca, query);
  if (done.has_error()) return registry.session().failed(done.error());
  if (const Result<> kept = keep_authorities(client); kept.has_error()) return registry.session().failed(kept.error());
  return registry.show(ca, [&] {
    return fmt::format("CA {} is {} now; {} has it too\n", printable(ca.fingerprint()), printable(ca.state()),
                       printable(client.place().ca));
  });
}

int back_up(const RegistrySession& registry, RegistryClient& client, const std::string& file) {
  const Result<std::string> content = client.raw("GET", "/v1/backup", "");
  if (content.has_error()) return registry.session().failed(content.error());
  if (file == "-") return registry.session().print(*content);
  const Result<> wrote = write_file_durably(file, *content, 0600);
  if (wrote.has_error()) return registry.session().failed(wrote.error());
  return registry.session().print(
      fmt::format("{} written, {}. It has no CA keys: keep a copy of the registry's ca/ too.\n", printable(file),
                  human_bytes(content->size())));
}

int restore(const RegistrySession& registry, RegistryClient& client, const std::string& file) {
  Result<std::string> content = read_file(file, kMostBackup);
  if (content.has_error()) return registry.session().failed(content.error());
  const Result<std::string> done = client.raw("POST", "/v1/restore", std::move(*content));
  if (done.has_error()) return registry.session().failed(done.error());
  return registry.session().print(fmt::format("The registry holds what {} holds\n", printable(file)));
}

}  // namespace

void add_registry_authorities(Command& group, const std::shared_ptr<RegistrySession>& registry) {
  Command authorities = group.add("ca", "The registry's CAs and their roll-over");
  const auto list = [registry](RegistryClient& client) {
    v1::CertificateAuthorityList all;
    const Result<> got = client.call("GET", "/v1/authorities", nullptr, all);
    if (got.has_error()) return registry->session().failed(got.error());
    return registry->show(all, [&] { return authorities_text(all, registry->session().console()); });
  };
  registry->complete(authorities, "table|json|yaml", list);
  authorities.example("omnitide-agent registry ca list")
      .footnote(
          "A roll-over: `ca next`, wait until `ca list` shows it delivered to all and the other operators\n"
          "have done `ca save`, then `ca activate`.");
  registry->add(authorities, "list", "All CAs, and how many nodes have each", "table|json|yaml", list)
      .example("omnitide-agent registry ca list");
  registry
      ->add(authorities, "save", "Write every CA that counts into this operator's ca.crt", "",
            [registry](RegistryClient& client) {
              if (const Result<> kept = keep_authorities(client); kept.has_error())
                return registry->session().failed(kept.error());
              return registry->session().print(fmt::format("{} is up to date\n", printable(client.place().ca)));
            })
      .example("omnitide-agent registry ca save --operator-dir ~/.config/omnitide");
  registry
      ->add(authorities, "next", "Make the next CA; each renewal delivers it", "table|json|yaml",
            [registry](RegistryClient& client) { return change(*registry, client, "next", {}); })
      .example("omnitide-agent registry ca next");
  const auto force = std::make_shared<bool>(false);
  registry
      ->add(authorities, "activate", "Sign with the next CA from now on", "table|json|yaml",
            [registry, force](RegistryClient& client) {
              return change(*registry, client, "activate", *force ? Query{{"force", "true"}} : Query{});
            })
      .flag("--force", *force, "Also while nodes lack it: they must be given the new CA by hand")
      .example("omnitide-agent registry ca activate");
}

void add_registry_backup(Command& group, const std::shared_ptr<RegistrySession>& registry) {
  const auto to = std::make_shared<std::string>();
  registry
      ->add(group, "backup", "Copy the registry's database while it runs", "",
            [registry, to](RegistryClient& client) { return back_up(*registry, client, *to); })
      .argument("FILE", *to, "FILE", "To write, mode 0600; - for standard output")
      .example("omnitide-agent registry backup registry-backup.db");
  const auto from = std::make_shared<std::string>();
  registry
      ->add(group, "restore", "Put a backup in place of what the running registry holds", "",
            [registry, from](RegistryClient& client) { return restore(*registry, client, *from); })
      .argument("FILE", *from, "FILE", "What `registry backup` wrote")
      .example("omnitide-agent registry restore registry-backup.db")
      .footnote("With the registry stopped: omnitide-registry restore.");
}

}  // namespace omnitide::cli
