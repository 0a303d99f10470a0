#include "agent/kubernetes/cordon.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "agent/base/text.hpp"
#include "agent/kubernetes/json.hpp"

namespace omnitide::kubernetes {

namespace {

constexpr std::size_t kLongestTaintValue = 63;  // of a label, and so of a taint

// `own`: our taint, or empty.
std::string marks_patch(const CordonMarks& marks, std::string_view labels, std::string_view unschedulable,
                        const std::string& own) {
  std::vector<std::string> taints = marks.other_taints;
  if (!own.empty()) taints.push_back(own);
  return fmt::format(R"({{"metadata":{{"resourceVersion":{}{}}},"spec":{{{}"taints":[{}]}}}})",
                     json_quote(marks.resource_version), labels, unschedulable, join(taints, ","));
}

}  // namespace

Result<CordonMarks> cordon_marks(std::string_view node) {
  boost::system::error_code problem;
  const boost::json::value parsed = boost::json::parse(boost::json::string_view(node.data(), node.size()), problem);
  const boost::json::object* object = problem ? nullptr : parsed.if_object();
  const boost::json::object* meta = object != nullptr ? object_member(*object, "metadata") : nullptr;
  if (meta == nullptr) return fail(Code::data_loss, "the Node is not readable");
  CordonMarks out;
  out.resource_version = text_member(*meta, "resourceVersion");
  const boost::json::object* labels = object_member(*meta, "labels");
  out.ours = labels != nullptr && labels->contains(boost::json::string_view(kCordonLabel.data(), kCordonLabel.size()));
  const boost::json::object* spec = object_member(*object, "spec");
  if (spec == nullptr) return out;
  const boost::json::value* flag = spec->if_contains("unschedulable");
  out.unschedulable = flag != nullptr && flag->is_bool() && flag->get_bool();
  const boost::json::value* taints = spec->if_contains("taints");
  if (taints == nullptr || !taints->is_array()) return out;
  for (const boost::json::value& each : taints->get_array()) {
    if (each.is_object() && text_member(each.get_object(), "key") == kTaintKey)
      out.tainted = true;
    else
      out.other_taints.push_back(boost::json::serialize(each));
  }
  return out;
}

std::string cordon_patch(const CordonMarks& marks, std::string_view condition) {
  const std::string value(condition.substr(0, kLongestTaintValue));
  const std::string taint =
      fmt::format(R"({{"key":"{}","value":{},"effect":"NoSchedule"}})", kTaintKey, json_quote(value));
  if (marks.unschedulable) return marks_patch(marks, "", "", taint);
  return marks_patch(marks, fmt::format(R"(,"labels":{{"{}":{}}})", kCordonLabel, json_quote(value)),
                     "\"unschedulable\":true,", taint);
}

std::string uncordon_patch(const CordonMarks& marks) {
  if (!marks.ours) return marks_patch(marks, "", "", "");
  return marks_patch(marks, fmt::format(R"(,"labels":{{"{}":null}})", kCordonLabel), "\"unschedulable\":null,", "");
}

}  // namespace omnitide::kubernetes
