#include "agent/daemon/page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "agent/base/clock.hpp"
#include "agent/base/text.hpp"

namespace omnitide::daemon {

namespace {

constexpr std::size_t kShownDevices = 24;
constexpr std::array<std::string_view, 5> kStates{"off", "starting", "on", "degraded", "failed"};

std::string_view state(const model::PartStatus& part) { return kStates.at(static_cast<std::size_t>(part.state)); }

std::string joined(std::vector<std::string> parts, std::string_view separator = ", ") {
  std::erase(parts, std::string{});
  return join(parts, separator);
}

// A table with heads; cells are escaped here.
class HtmlTable {
 public:
  explicit HtmlTable(std::string_view id, std::initializer_list<std::string_view> heads) {
    out_ = fmt::format("<table id=\"{}\"><thead><tr>", id);
    for (const std::string_view head : heads)
      out_ += fmt::format("<th>{}</th>", html_escape(head));
    out_ += "</tr></thead><tbody>";
  }
  void row(std::initializer_list<std::string_view> cells, std::string_view css = {}) {
    out_ += css.empty() ? "<tr>" : fmt::format("<tr class=\"{}\">", html_escape(css));
    for (const std::string_view cell : cells)
      out_ += fmt::format("<td>{}</td>", html_escape(cell));
    out_ += "</tr>";
  }
  [[nodiscard]] std::string take() { return std::move(out_) + "</tbody></table>\n"; }

 private:
  std::string out_;
};

std::string hardware(const model::NodeFacts& facts) {
  HtmlTable out("hardware", {"What", ""});
  const auto row = [&out](std::string_view name, const std::string& text) {
    if (!text.empty()) out.row({name, text});
  };
  const model::SystemFacts& system = facts.system;
  row("System", !system.device_tree_model.empty() ? system.device_tree_model
                                                  : joined({system.dmi.system_vendor, system.dmi.product_name}, " "));
  row("Operating system", system.os_name);
  row("Kernel", joined({system.kernel_release, facts.cpu.architecture}, " "));
  row("Virtualization", facts.cpu.hypervisor);
  row("CPU", joined({facts.cpu.model, fmt::format("{} sockets", facts.cpu.sockets),
                     fmt::format("{} cores", facts.cpu.cores), fmt::format("{} threads", facts.cpu.threads)}));
  row("Memory", joined({human_bytes(facts.memory.total_bytes),
                        facts.memory.swap_bytes == 0 ? "no swap" : "swap " + human_bytes(facts.memory.swap_bytes)}));
  for (const model::Accelerator& device : facts.bus.accelerators)
    row("Accelerator", joined({device.kind, device.vendor, device.name}, " "));
  std::vector<std::string> missing;
  for (const model::EbpfFeature& feature : system.ebpf)
    if (!feature.works) missing.push_back(feature.name);
  if (!system.ebpf.empty()) row("eBPF", missing.empty() ? "all that was probed works" : "not: " + joined(missing));
  return out.take();
}

std::string disks(const model::StorageFacts& storage) {
  HtmlTable out("disks", {"Disk", "Size", "Model", "Kind"});
  std::size_t shown = 0;
  for (const model::BlockDevice& device : storage.devices) {
    if (device.kind != "disk" || device.size_bytes == 0 || ++shown > kShownDevices) continue;
    const std::string kind = !device.rotational ? std::string() : *device.rotational ? "rotating" : "flash";
    out.row({device.name, human_bytes(device.size_bytes), device.model, joined({device.transport, kind})});
  }
  return out.take();
}

std::string interfaces(const std::vector<model::NetworkInterface>& all) {
  HtmlTable out("interfaces", {"Interface", "State", "Kind", "Addresses", "Speed"});
  std::size_t shown = 0;
  for (const model::NetworkInterface& nic : all) {
    if (nic.kind == "loopback" || ++shown > kShownDevices) continue;
    const std::string speed =
        nic.speed_bits_per_second ? fmt::format("{} Mbit/s", *nic.speed_bits_per_second / 1'000'000) : std::string();
    out.row({nic.name, nic.state, joined({nic.kind, nic.driver}), joined(nic.addresses), speed});
  }
  return out.take();
}

std::string parts(const std::vector<model::PartStatus>& all) {
  HtmlTable out("parts", {"Part", "State", "Detail"});
  for (const model::PartStatus& part : all)
    out.row({part.name, state(part), part.reason}, state(part));
  return out.take();
}

std::string flows(const PageView& view) {
  HtmlTable out("flows", {"Time (UTC)", "Verdict", "Direction", "Protocol", "From", "To", "Decided by"});
  for (const PageFlow& flow : view.flows)
    out.row({flow.time, flow.verdict, flow.direction, flow.protocol, flow.from, flow.to, flow.decided_by},
            to_lower(flow.verdict));
  return out.take();
}

std::string up_text(std::chrono::seconds up) {
  const auto hours = up.count() / 3600;
  return hours >= 48 ? fmt::format("{} days", hours / 24) : fmt::format("{} h {} min", hours, up.count() / 60 % 60);
}

}  // namespace

std::string html_escape(std::string_view text) {
  std::string out;
  for (const char c : printable(text)) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string page_html(const PageView& view) {
  const std::string node = html_escape(view.node);
  const bool ready = view.not_ready_because.empty();
  std::string out = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<title>{0} - omnitide</title>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<link rel=\"icon\" href=\"data:,\">\n"
      "<link rel=\"stylesheet\" href=\"/page.css\">\n<script src=\"/page.js\" defer></script></head>\n<body "
      "data-collectors=\"{5}\">\n"
      "<header><h1>{0}</h1><p><strong id=\"ready\" class=\"{1}\">{2}</strong> omnitide-agent {3}, up {4}, "
      "<a href=\"/metrics\">metrics</a></p></header>\n<main>\n",
      node, ready ? "on" : "failed", ready ? "ready" : html_escape("not ready: " + view.not_ready_because),
      html_escape(view.version), up_text(view.up), html_escape(join(view.collectors, " ")));
  out +=
      "<section><h2>Now</h2><div id=\"charts\"></div>\n"
      "<noscript><p>Charts need JavaScript; everything else on this page does not.</p></noscript></section>\n";
  out += "<section><h2>Parts of the agent</h2>" + parts(view.parts) + "</section>\n";
  out += "<section><h2>Hardware</h2>" + hardware(view.facts) + disks(view.facts.storage) +
         interfaces(view.facts.network) + "</section>\n";
  if (view.policy) out += "<section><h2>Recent flows</h2>" + flows(view) + "</section>\n";
  return out + "</main></body></html>\n";
}

std::string page_state(const PageView& view) {
  std::vector<std::string> part_list, flow_list;
  for (const model::PartStatus& part : view.parts)
    part_list.push_back(
        fmt::format("[{},{},{}]", json_quote(part.name), json_quote(state(part)), json_quote(part.reason)));
  for (const PageFlow& flow : view.flows) {
    std::vector<std::string> cells;
    for (const std::string* cell :
         {&flow.time, &flow.verdict, &flow.direction, &flow.protocol, &flow.from, &flow.to, &flow.decided_by})
      cells.push_back(json_quote(*cell));
    flow_list.push_back(fmt::format("[{}]", join(cells, ",")));
  }
  return fmt::format("{{\"ready\":{},\"notReadyBecause\":{},\"parts\":[{}],\"policy\":{},\"flows\":[{}]}}\n",
                     view.not_ready_because.empty(), json_quote(view.not_ready_because), join(part_list, ","),
                     view.policy, join(flow_list, ","));
}

}  // namespace omnitide::daemon
