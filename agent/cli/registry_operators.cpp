#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/file.hpp"
#include "agent/base/text.hpp"
#include "agent/cli/registry_commands.hpp"
#include "agent/io/crypto.hpp"
#include "omnitide/node/v1/registry.pb.h"

namespace omnitide::cli {

namespace v1 = node::v1;

namespace {

struct OperatorOptions {
  std::string name, folder;
  std::uint32_t days = 365;
};

std::string operators_text(const v1::OperatorList& list, const Console& console) {
  Table table({{"SERIAL"}, {"NAME"}, {"STATE"}, {"EXPIRES"}});
  for (const v1::Operator& row : list.items())
    table.row(
        {row.serial(), row.name(), row.revoked() ? "revoked" : "valid", relative(row.expires(), row.has_expires())});
  return table.empty() ? "No operators.\n" : table.render(console);
}

int list_operators(const RegistrySession& registry, RegistryClient& client) {
  v1::OperatorList all;
  Query query;
  for (int pages = 0; pages < 1000; ++pages) {
    v1::OperatorList page;
    if (const Result<> got = client.call("GET", "/v1/operators", nullptr, page, query); got.has_error())
      return registry.session().failed(got.error());
    for (v1::Operator& row : *page.mutable_items())
      *all.add_items() = std::move(row);
    if (page.next_page_token().empty()) break;
    query["pageToken"] = page.next_page_token();
  }
  return registry.show(all, [&] { return operators_text(all, registry.session().console()); });
}

// The key is made here and never leaves this machine; the registry sees a signing request.
Result<v1::Operator> create_operator(RegistryClient& client, const OperatorOptions& options) {
  const std::string key_file = options.folder + "/operator.key";
  if (::access(key_file.c_str(), F_OK) == 0) {
    return fail(Code::already_exists, key_file + " is there already").with_hint("choose another folder: --to DIR");
  }
  const Result<io::PrivateKey> key = io::PrivateKey::generate();
  if (key.has_error()) return key.error();
  const Result<std::string> csr = io::make_csr(*key, options.name);
  if (csr.has_error()) return csr.error();
  if (const Result<> made = make_folders(options.folder, 0700); made.has_error()) return made.error();
  if (const Result<> kept = write_file_durably(key_file, key->to_pem(), 0600); kept.has_error()) return kept.error();
  v1::CreateOperatorRequest request;
  request.set_name(options.name);
  request.set_days(options.days);
  request.set_csr_der(*csr);
  v1::Operator out;
  Result<> done = client.call("POST", "/v1/operators", &request, out);
  if (done.has_error()) {
    ::unlink(key_file.c_str());
    return std::move(done).error();
  }
  std::string trusted;
  for (const std::string& ca : out.ca_certificates_der())
    trusted += io::to_pem(ca);
  done = write_file_durably(options.folder + "/operator.crt", io::to_pem(out.certificate_der()), 0600);
  if (done.has_value()) done = write_file_durably(options.folder + "/ca.crt", trusted, 0600);
  if (done.has_error()) return std::move(done).error();
  return out;
}

}  // namespace

void add_registry_operators(Command& group, const std::shared_ptr<RegistrySession>& registry) {
  Command operators = group.add("operators", "Certificates of those who may decide");
  const auto list = [registry](RegistryClient& client) { return list_operators(*registry, client); };
  registry->complete(operators, "table|json|yaml", list);
  operators.example("omnitide-agent registry operators list");
  registry->add(operators, "list", "All operator certificates", "table|json|yaml", list)
      .example("omnitide-agent registry operators list");

  const auto options = std::make_shared<OperatorOptions>();
  registry
      ->add(operators, "create", "Make a key and a certificate for another operator", "table|json|yaml",
            [registry, options](RegistryClient& client) {
              const Result<v1::Operator> made = create_operator(client, *options);
              if (made.has_error()) return registry->session().failed(made.error());
              return registry->show(*made, [&] {
                return fmt::format("operator.crt, operator.key and ca.crt for {} are in {}\n", printable(made->name()),
                                   printable(options->folder));
              });
            })
      .argument("NAME", options->name, "NAME", "Stands in the certificate and in the registry's log")
      .option("--to", options->folder, "DIR", "Folder for the three files, made as needed")
      .required("--to")
      .number("--days", options->days, "How long the certificate lasts (365)")
      .example("omnitide-agent registry operators create alice --to ./alice");

  const auto serial = std::make_shared<std::string>();
  registry
      ->add(operators, "revoke", "Refuse an operator certificate from now on", "table|json|yaml",
            [registry, serial](RegistryClient& client) {
              v1::Operator revoked;
              const Result<> done = client.call("POST", item_path("operators", *serial, "revoke"), nullptr, revoked);
              if (done.has_error()) return registry->session().failed(done.error());
              return registry->show(revoked, [&] {
                return fmt::format("The certificate of {} is revoked\n", printable(revoked.name()));
              });
            })
      .argument("SERIAL", *serial, "SERIAL", "As the list has it")
      .example("omnitide-agent registry operators revoke 4f3c...");
}

}  // namespace omnitide::cli
