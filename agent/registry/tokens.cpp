// Join tokens and operator certificates.
#include <fmt/format.h>

#include <algorithm>

#include "agent/base/random.hpp"
#include "agent/base/text.hpp"
#include "agent/codec/time.hpp"
#include "agent/io/crypto.hpp"
#include "agent/registry/admission.hpp"
#include "agent/registry/handlers.hpp"
#include "agent/registry/join_token.hpp"
#include "agent/registry/node_message.hpp"
#include "agent/registry/page.hpp"
#include "agent/registry/repository.hpp"
#include "agent/registry/wire.hpp"

namespace omnitide::registry {

namespace {

using namespace std::chrono_literals;
constexpr std::size_t kMaxTokens = 10'000, kMaxOperators = 10'000;
constexpr std::uint32_t kMaxUses = 1'000'000;
constexpr auto kDefaultLifetime = 24h, kLongest = 24h * 3650, kKeptAfterEnd = 24h * 30;

Error no_such(const char* what, const std::string& id) {
  return fail(Code::not_found, fmt::format("there is no {} {}", what, printable(id, 80)));
}

// Forgets tokens that ended long ago and that no node waits on.
std::vector<std::string> outdated(const Context& context) {
  std::vector<std::string> out;
  for (const auto& [id, token] : context.tokens) {
    if (token.expires + kKeptAfterEnd < context.now()) out.push_back(id);
  }
  return out;
}

}  // namespace

Result<NewToken> new_token(const TokenTerms& terms, const std::string& ca_fingerprint) {
  if (terms.uses == 0 || terms.uses > kMaxUses) return invalid("uses", fmt::format("uses must be 1 to {}", kMaxUses));
  if (terms.expires <= terms.now) return invalid("expires", "the token would have expired already");
  if (terms.expires > terms.now + kLongest) return invalid("expires", "a token lasts ten years at most");
  if (terms.comment.size() > 1024) return invalid("comment", "the comment is longer than 1024 bytes");
  NewToken out;
  const std::string secret = base32_encode_lower(random_bytes(20));
  out.record.token_id = base32_encode_lower(random_bytes(10)).substr(0, 12);
  out.record.secret_sha256 = io::sha256(secret);
  out.record.approve = terms.approve;
  out.record.uses = terms.uses;
  out.record.expires = terms.expires;
  out.record.created = terms.now;
  out.record.labels = encode_labels(terms.labels);
  out.record.comment = terms.comment;
  out.text = fmt::format("omt1.{}.{}.{}", out.record.token_id, secret, ca_fingerprint);
  return out;
}

Answer<v1::TokenList> list_tokens(Context& context, io::HttpRequest& request) {
  v1::TokenList out;
  const Result<std::string> next =
      page(context.tokens, request, [&out](const TokenRecord& token) { *out.add_items() = token_message(token); });
  if (next.has_error()) co_return next.error();
  out.set_next_page_token(*next);
  co_return out;
}

Answer<v1::Token> make_token(Context& context, io::HttpRequest& request) {
  v1::CreateTokenRequest in;
  if (const Result<> read = decode(request, in); read.has_error()) co_return read.error();
  Result<Labels> labels = labels_of(in.labels());
  if (labels.has_error()) co_return std::move(labels).error();
  TokenTerms terms;
  terms.approve = in.approve() == v1::APPROVAL_MODE_MANUAL ? Approve::manual : Approve::automatic;
  terms.uses = in.uses() == 0 ? 1 : in.uses();
  terms.now = context.now();
  terms.expires = in.has_expires() ? codec::time_of(in.expires()) : terms.now + kDefaultLifetime;
  terms.labels = std::move(*labels);
  terms.comment = in.comment();
  const Result<NewToken> token = new_token(terms, context.authorities.active().fingerprint);
  if (token.has_error()) co_return token.error();
  const std::vector<std::string> old = outdated(context);
  if (context.tokens.size() - old.size() >= kMaxTokens) {
    co_return fail(Code::failed_precondition, fmt::format("{} tokens are kept, which is the most", kMaxTokens))
        .with_hint("give tokens more uses; they are forgotten 30 days after their end");
  }
  const auto record = std::make_shared<TokenRecord>(token->record);
  auto running = context.writer.run(
      [record, old](Database& database) -> Result<> {
        for (const std::string& id : old) {
          const Result<> gone = Query(database, "DELETE FROM tokens WHERE token_id = ?").bind(id).run();
          if (gone.has_error()) return gone;
        }
        return save_token(database, *record);
      },
      [&context, record, old] {
        for (const std::string& id : old)
          context.tokens.erase(id);
        context.tokens.insert_or_assign(record->token_id, *record);
      });
  const Result<> done = co_await std::move(running);
  if (done.has_error()) co_return done.error();
  v1::Token out = token_message(*record);
  out.set_secret(token->text);
  co_return out;
}

Answer<v1::Token> revoke_token(Context& context, io::HttpRequest& request) {
  auto record = std::make_shared<TokenRecord>();
  record->token_id = parameter(request, "id");
  auto running = context.writer.run(
      [record](Database& database) -> Result<> {
        const Result<std::optional<TokenRecord>> found = find_token(database, record->token_id);
        if (found.has_error()) return found.error();
        if (!*found) return no_such("token", record->token_id);
        *record = **found;
        record->revoked = true;
        return save_token(database, *record);
      },
      [&context, record] { context.tokens.insert_or_assign(record->token_id, *record); });
  const Result<> done = co_await std::move(running);
  if (done.has_error()) co_return done.error();
  co_return token_message(*record);
}

Answer<v1::OperatorList> list_operators(Context& context, io::HttpRequest& request) {
  v1::OperatorList out;
  const Result<std::string> next = page(context.operators, request, [&out](const OperatorRecord& record) {
    *out.add_items() = operator_message(record);
  });
  if (next.has_error()) co_return next.error();
  out.set_next_page_token(*next);
  co_return out;
}

Answer<v1::Operator> make_operator(Context& context, io::HttpRequest& request) {
  v1::CreateOperatorRequest in;
  if (const Result<> read = decode(request, in); read.has_error()) co_return read.error();
  const std::string& name = in.name();
  if (name.empty() || name.size() > 64 || printable(name) != name) {
    co_return invalid("name", "name must be 1 to 64 printable bytes");
  }
  const std::uint32_t days = in.days() == 0 ? 365 : in.days();
  if (days > 3650) co_return invalid("days", "a certificate lasts 3650 days at most");
  const Result<std::string> key = io::csr_public_key(in.csr_der());
  if (key.has_error()) co_return invalid("csrDer", "the certificate request is not usable: " + key.error().message);
  if (context.operators.size() >= kMaxOperators)
    co_return fail(Code::failed_precondition, "too many operators are kept");
  const WallTime now = context.now();
  const std::shared_ptr<const Issuer> issuer = context.authorities.issuer();
  const Result<Issued> issued = issue_client(*issuer, *key, name, "operator", now, 24h * days);
  if (issued.has_error()) co_return issued.error();
  const auto record =
      std::make_shared<OperatorRecord>(OperatorRecord{issued->serial, name, now, issued->not_after, false});
  auto running =
      context.writer.run([record](Database& database) { return save_operator(database, *record); },
                         [&context, record] { context.operators.insert_or_assign(record->serial, *record); });
  const Result<> done = co_await std::move(running);
  if (done.has_error()) co_return done.error();
  v1::Operator out = operator_message(*record);
  out.set_certificate_der(issued->der);
  for (const std::string& ca : issuer->trusted)
    out.add_ca_certificates_der(ca);
  co_return out;
}

Answer<v1::Operator> revoke_operator(Context& context, io::HttpRequest& request) {
  const std::string serial = parameter(request, "id");
  const auto found = context.operators.find(serial);
  if (found == context.operators.end()) co_return no_such("operator certificate", serial);
  const bool another = std::any_of(context.operators.begin(), context.operators.end(), [&](const auto& entry) {
    return entry.first != serial && !entry.second.revoked && entry.second.expires > context.now();
  });
  if (!another) {
    co_return fail(Code::failed_precondition, "this is the last operator certificate that works")
        .with_hint("make another one first: POST /v1/operators");
  }
  const auto record = std::make_shared<OperatorRecord>(found->second);
  record->revoked = true;
  auto running =
      context.writer.run([record](Database& database) { return save_operator(database, *record); },
                         [&context, record] { context.operators.insert_or_assign(record->serial, *record); });
  const Result<> done = co_await std::move(running);
  if (done.has_error()) co_return done.error();
  co_return operator_message(*record);
}

}  // namespace omnitide::registry
