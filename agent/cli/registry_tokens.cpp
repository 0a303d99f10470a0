#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "agent/base/clock.hpp"
#include "agent/base/file.hpp"
#include "agent/base/text.hpp"
#include "agent/cli/registry_commands.hpp"
#include "omnitide/node/v1/registry.pb.h"

namespace omnitide::cli {

namespace v1 = node::v1;

namespace {

struct TokenOptions {
  std::string approve = "auto", comment, file;
  std::uint32_t uses = 1;
  std::chrono::milliseconds lifetime = std::chrono::hours(24);
  std::vector<std::string> labels;
};

std::string tokens_text(const v1::TokenList& list, const Console& console) {
  Table table({{"TOKEN"}, {"USED", true}, {"EXPIRES"}, {"APPROVAL"}, {"STATE"}, {"LABELS"}, {"COMMENT", false, true}});
  for (const v1::Token& token : list.items()) {
    const bool ended = token.expires().seconds() * 1000 < wall_now().time_since_epoch().count();
    const char* state = token.revoked()                ? "revoked"
                        : ended                        ? "expired"
                        : token.used() >= token.uses() ? "used up"
                                                       : "valid";
    table.row({token.token_id(), fmt::format("{}/{}", token.used(), token.uses()),
               relative(token.expires(), token.has_expires()),
               token.approve() == v1::APPROVAL_MODE_MANUAL ? "manual" : "auto", state, label_words(token.labels()),
               token.comment()});
  }
  return table.empty() ? "No tokens.\n" : table.render(console);
}

int list_tokens(const RegistrySession& registry, RegistryClient& client) {
  v1::TokenList all;
  Query query;
  for (int pages = 0; pages < 1000; ++pages) {
    v1::TokenList page;
    if (const Result<> got = client.call("GET", "/v1/tokens", nullptr, page, query); got.has_error())
      return registry.session().failed(got.error());
    for (v1::Token& token : *page.mutable_items())
      *all.add_items() = std::move(token);
    if (page.next_page_token().empty()) break;
    query["pageToken"] = page.next_page_token();
  }
  return registry.show(all, [&] { return tokens_text(all, registry.session().console()); });
}

int create_token(const RegistrySession& registry, RegistryClient& client, const TokenOptions& options) {
  v1::CreateTokenRequest request;
  request.set_approve(options.approve == "manual" ? v1::APPROVAL_MODE_MANUAL : v1::APPROVAL_MODE_AUTO);
  request.set_uses(options.uses);
  request.set_comment(options.comment);
  const WallTime end = wall_now() + options.lifetime;
  request.mutable_expires()->set_seconds(std::chrono::floor<std::chrono::seconds>(end).time_since_epoch().count());
  for (const std::string& word : options.labels) {
    const Result<std::pair<std::string, std::string>> label = label_of(word);
    if (label.has_error()) return registry.session().failed(label.error());
    (*request.mutable_labels())[label->first] = label->second;
  }
  v1::Token token;
  if (const Result<> made = client.call("POST", "/v1/tokens", &request, token); made.has_error())
    return registry.session().failed(made.error());
  if (options.file.empty()) return registry.show(token, [&] { return printable(token.secret()) + "\n"; });
  const Result<> written = write_file_durably(options.file, token.secret() + "\n", 0600);
  if (written.has_error()) return registry.session().failed(written.error());
  token.clear_secret();
  return registry.show(token, [&] {
    return fmt::format("Token {} is in {}; it ends {}\n", printable(token.token_id()), printable(options.file),
                       relative(token.expires(), token.has_expires()));
  });
}

}  // namespace

void add_registry_tokens(Command& group, const std::shared_ptr<RegistrySession>& registry) {
  Command tokens = group.add("tokens", "Join tokens, by which new nodes come in");
  const auto list = [registry](RegistryClient& client) { return list_tokens(*registry, client); };
  registry->complete(tokens, "table|json|yaml", list);
  tokens.example("omnitide-agent registry tokens list");
  registry->add(tokens, "list", "All tokens; their secrets are not kept", "table|json|yaml", list)
      .example("omnitide-agent registry tokens list -o json");

  const auto options = std::make_shared<TokenOptions>();
  registry
      ->add(tokens, "create", "Make a token; it is printed once, and kept nowhere", "table|json|yaml",
            [registry, options](RegistryClient& client) { return create_token(*registry, client, *options); })
      .number("--uses", options->uses, "How many nodes can join by it (1)")
      .duration("--expires", options->lifetime, "When it ends, from now (24h)")
      .option("--approve", options->approve, "auto|manual", "manual: an operator lets each node in")
      .options("--label", options->labels, "KEY=VALUE", "Label of the nodes that join by it; may be repeated")
      .option("--comment", options->comment, "TEXT", "For people")
      .option("--to", options->file, "FILE", "Write it there, mode 0600, instead of printing it")
      .example("omnitide-agent registry tokens create --uses 10 --expires 2h --label site=hall-3 --to join-token");

  const auto id = std::make_shared<std::string>();
  registry
      ->add(tokens, "revoke", "No more joins by this token", "table|json|yaml",
            [registry, id](RegistryClient& client) {
              v1::Token token;
              const Result<> done = client.call("POST", item_path("tokens", *id, "revoke"), nullptr, token);
              if (done.has_error()) return registry->session().failed(done.error());
              return registry->show(token, [&] { return fmt::format("{} is revoked\n", printable(token.token_id())); });
            })
      .argument("TOKEN", *id, "TOKEN", "Its id, not its secret")
      .example("omnitide-agent registry tokens revoke abcdefgh");
}

}  // namespace omnitide::cli
