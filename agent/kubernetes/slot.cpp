#include "agent/kubernetes/slot.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "agent/base/text.hpp"
#include "agent/kubernetes/json.hpp"
#include "agent/kubernetes/words.hpp"

namespace omnitide::kubernetes {

std::string slot_name(std::uint32_t index) { return std::string(kSlotPrefix) + std::to_string(index); }

Result<Slot> slot_of(std::string_view json) {
  boost::system::error_code problem;
  const boost::json::value parsed = boost::json::parse(boost::json::string_view(json.data(), json.size()), problem);
  const boost::json::object* lease = problem ? nullptr : parsed.if_object();
  const boost::json::object* meta = lease != nullptr ? object_member(*lease, "metadata") : nullptr;
  if (meta == nullptr || text_member(*meta, "resourceVersion").empty())
    return fail(Code::data_loss, "a Lease is not readable");
  Slot out;
  out.name = text_member(*meta, "name");
  out.resource_version = text_member(*meta, "resourceVersion");
  const boost::json::object* spec = object_member(*lease, "spec");
  if (spec == nullptr) return out;
  out.holder = text_member(*spec, "holderIdentity");
  out.renewed = text_member(*spec, "renewTime");
  const boost::json::value* lasts = spec->if_contains("leaseDurationSeconds");
  if (lasts != nullptr && lasts->is_int64() && lasts->get_int64() > 0)
    out.lasts = std::chrono::seconds(lasts->get_int64());
  return out;
}

std::string slot_body(const Slot& slot, std::string_view space, std::string_view holder, WallTime now) {
  std::string version;
  if (!slot.resource_version.empty())
    version = fmt::format(R"(,"resourceVersion":{})", json_quote(slot.resource_version));
  std::string spec =
      fmt::format(R"("leaseDurationSeconds":{},"renewTime":"{}")", kSlotTime.count(), api_micro_time(now));
  if (!holder.empty()) spec += fmt::format(R"(,"holderIdentity":{})", json_quote(holder));
  return fmt::format(
      R"({{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{{"name":{},"namespace":{}{}}},"spec":{{{}}}}})",
      json_quote(slot.name), json_quote(space), version, spec);
}

bool SlotWatch::expired(const Slot& slot, SteadyTime now) {
  Seen& seen = seen_[slot.name];
  if (seen.holder != slot.holder || seen.renewed != slot.renewed || seen.since == SteadyTime{})
    seen = {slot.holder, slot.renewed, now};
  return now - seen.since >= slot.lasts;
}

}  // namespace omnitide::kubernetes
