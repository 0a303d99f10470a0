// The web page at "/": the node's hardware, the agent's parts, live charts and recent flows. Pure: values in, text out.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "agent/model/node_facts.hpp"
#include "agent/model/part_status.hpp"

namespace omnitide::daemon {

struct PageFlow {
  std::string time, verdict, direction, protocol, from, to, decided_by;
};

struct PageView {
  std::string node, version;
  std::string not_ready_because;  // empty: ready
  std::chrono::seconds up{0};
  std::vector<model::PartStatus> parts;
  model::NodeFacts facts;
  std::vector<std::string> collectors;  // that can be asked for: for the charts
  bool policy = false;                  // network policy is on, so that there are flows
  std::vector<PageFlow> flows;          // the newest first
};

inline constexpr std::size_t kPageFlows = 30;

// A whole document, readable without script. Everything that is no constant is escaped.
[[nodiscard]] std::string page_html(const PageView& view);
// What the script refreshes, as JSON: {ready, notReadyBecause, parts, policy, flows}.
[[nodiscard]] std::string page_state(const PageView& view);
// For text of HTML and for attributes in double quotes; control characters are made visible.
[[nodiscard]] std::string html_escape(std::string_view text);

// Nothing from elsewhere, nothing inline, no frame around it.
inline constexpr std::string_view kPagePolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'";

extern const std::string_view kPageScript, kPageStyle;  // /page.js and /page.css

}  // namespace omnitide::daemon
