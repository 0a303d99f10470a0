// CA roll-over: make the next CA, deliver it with every renewal, activate it when all have it.
#include <fmt/format.h>

#include <algorithm>

#include "agent/codec/time.hpp"
#include "agent/registry/handlers.hpp"
#include "agent/registry/repository.hpp"
#include "agent/registry/wire.hpp"

namespace omnitide::registry {

namespace {

// Nodes that were given this CA or a newer one and have spoken with the certificate that came along.
std::uint64_t delivered_to(const Context& context, const AuthorityRecord& record) {
  const std::string& newest = context.authorities.issuer()->newest;
  std::uint64_t count = 0;
  for (const auto& [id, node] : context.nodes.all()) {
    const bool offered = node.offered_ca == record.fingerprint || node.offered_ca == newest;
    if (node.state == State::approved && node.certificate_used && offered) ++count;
  }
  return count;
}

v1::CertificateAuthority authority_message(const Context& context, const AuthorityRecord& record) {
  v1::CertificateAuthority out;
  out.set_fingerprint(record.fingerprint);
  out.set_state(record.state);
  codec::set_time(record.not_after, *out.mutable_not_after());
  out.set_certificate_der(record.certificate);
  out.set_nodes(context.nodes.count(State::approved));
  if (record.state != "retired") out.set_delivered_to(delivered_to(context, record));
  return out;
}

// Stores the records and takes them over; the keys are on disk already.
boost::asio::awaitable<Result<>> store(Context& context, std::vector<AuthorityRecord> records) {
  Result<Authorities> loaded = Authorities::load(context.options.dir, records);
  if (loaded.has_error()) co_return std::move(loaded).error();
  const auto fresh = std::make_shared<Authorities>(std::move(*loaded));
  auto running = context.writer.run(
      [fresh](Database& database) -> Result<> {
        for (const AuthorityRecord& record : fresh->records()) {
          const Result<> saved = save_authority(database, record);
          if (saved.has_error()) return saved;
        }
        return {};
      },
      [&context, fresh] {
        context.authorities = *fresh;
        context.authorities_changed();
      });
  co_return co_await std::move(running);
}

}  // namespace

Answer<v1::CertificateAuthorityList> list_authorities(Context& context, io::HttpRequest& /*request*/) {
  v1::CertificateAuthorityList out;
  for (const AuthorityRecord& record : context.authorities.records()) {
    *out.add_items() = authority_message(context, record);
  }
  co_return out;
}

Answer<v1::CertificateAuthority> make_next_authority(Context& context, io::HttpRequest& /*request*/) {
  if (context.authorities.next() != nullptr) {
    co_return fail(Code::failed_precondition, "there is a next CA already").with_hint("activate it first");
  }
  Result<AuthorityRecord> made = make_authority(context.options.dir, "next", context.now());
  if (made.has_error()) co_return std::move(made).error();
  std::vector<AuthorityRecord> records = context.authorities.records();
  records.push_back(*made);
  const Result<> stored = co_await store(context, std::move(records));
  if (stored.has_error()) co_return stored.error();
  co_return authority_message(context, *made);
}

Answer<v1::CertificateAuthority> activate_authority(Context& context, io::HttpRequest& request) {
  const AuthorityRecord* next = context.authorities.next();
  if (next == nullptr) {
    co_return fail(Code::failed_precondition, "there is no next CA").with_hint("make one: POST /v1/authorities:next");
  }
  const std::uint64_t nodes = context.nodes.count(State::approved), have = delivered_to(context, *next);
  const std::string force = query(request, "force");
  if (!force.empty() && force != "true" && force != "false") co_return invalid("force", "force must be true or false");
  if (have < nodes && force != "true") {
    co_return fail(Code::failed_precondition, fmt::format("{} of {} nodes have the next CA", have, nodes))
        .with_hint("wait until they have renewed; with force=true the others must be given the new CA by hand");
  }
  std::vector<AuthorityRecord> records = context.authorities.records();
  for (AuthorityRecord& record : records) {
    if (record.state == "active") {
      record.state = "retired";
    } else if (record.state == "next") {
      record.state = "active";
    }
  }
  const Result<> stored = co_await store(context, std::move(records));
  if (stored.has_error()) co_return stored.error();
  co_return authority_message(context, context.authorities.active());
}

}  // namespace omnitide::registry
