#include "agent/metrics/negotiate.hpp"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <string>

#include "agent/base/text.hpp"

namespace omnitide::metrics {

namespace {

struct Choice {
  std::string_view name;     // "text/plain", "gzip", in the client's letters
  std::string_view version;  // empty: any
  int weight = 1000;         // q, in thousandths
};

bool same(std::string_view a, std::string_view lower) { return to_lower(a) == lower; }

// Cuts what stands before the next `separator` outside of quotes off `text`.
std::string_view take(std::string_view& text, char separator) {
  bool quoted = false;
  std::size_t end = 0;
  for (; end < text.size() && (quoted || text[end] != separator); ++end) {
    if (text[end] == '"') quoted = !quoted;
    if (quoted && text[end] == '\\' && end + 1 < text.size()) ++end;
  }
  const std::string_view out = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return trim(out);
}

// "0", "0.5", "1.000"; nothing else is a weight, and what has none such is not wanted.
int parse_weight(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return 0;
  if (text.size() > 1 && text[1] != '.') return 0;
  int out = (text[0] - '0') * 1000, scale = 100;
  for (const char c : text.substr(std::min<std::size_t>(2, text.size()))) {
    if (c < '0' || c > '9') return 0;
    out += (c - '0') * scale;
    scale /= 10;
  }
  return std::min(out, 1000);
}

std::string_view unquoted(std::string_view text) {
  return text.size() >= 2 && text.front() == '"' && text.back() == '"' ? text.substr(1, text.size() - 2) : text;
}

Choice parse_choice(std::string_view text) {
  Choice out{.name = take(text, ';'), .version = {}};
  while (!text.empty()) {
    const std::string_view parameter = take(text, ';');
    const std::size_t equals = std::min(parameter.find('='), parameter.size());
    const std::string_view key = trim(parameter.substr(0, equals));
    const std::string_view value = trim(parameter.substr(std::min(equals + 1, parameter.size())));
    if (same(key, "q")) out.weight = parse_weight(value);
    if (same(key, "version")) out.version = unquoted(value);
  }
  return out;
}

void each(std::string_view header, const std::function<void(const Choice&)>& use) {
  while (!header.empty()) {
    const std::string_view text = take(header, ',');
    if (!text.empty()) use(parse_choice(text));
  }
}

}  // namespace

TextFormat choose_format(std::string_view accept) {
  TextFormat best = TextFormat::prometheus;
  int weight = 0;
  each(accept, [&best, &weight](const Choice& choice) {
    const bool open = same(choice.name, "application/openmetrics-text") &&
                      (choice.version.empty() || choice.version == "1.0.0" || choice.version == "1.0");
    const bool plain = same(choice.name, "text/plain") && (choice.version.empty() || choice.version == "0.0.4");
    const bool any = same(choice.name, "*/*") || same(choice.name, "text/*");
    if ((!open && !plain && !any) || choice.weight <= weight) return;
    weight = choice.weight;
    best = open ? TextFormat::openmetrics : TextFormat::prometheus;
  });
  return best;
}

bool wants_html(std::string_view accept) {
  bool out = false;
  each(accept, [&out](const Choice& choice) { out = out || (same(choice.name, "text/html") && choice.weight > 0); });
  return out;
}

bool takes_gzip(std::string_view accept_encoding) {
  int named = -1, any = 0;
  each(accept_encoding, [&named, &any](const Choice& choice) {
    if (same(choice.name, "gzip") || same(choice.name, "x-gzip")) named = choice.weight;
    if (choice.name == "*") any = choice.weight;
  });
  return named >= 0 ? named > 0 : any > 0;
}

}  // namespace omnitide::metrics
