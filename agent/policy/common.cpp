#include "agent/policy/common.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "agent/base/text.hpp"
#include "agent/policy/words.hpp"

namespace omnitide::policy {

namespace {

constexpr std::string_view kDefaultNamespace = "default";
constexpr std::size_t kMostRequirements = 1000;  // of one selector; the API server bounds the object as a whole

std::string shown_text(const Field& field) {
  return field.is_scalar() ? printable(field.word(), kLongestShown) : std::string{};
}

// Reports what is wrong with a text, if anything.
bool check_text(Reader& reader, const Field& field, std::string_view wrong) {
  if (wrong.empty()) return true;
  reader.fault(field, fmt::format("\"{}\" {}", printable(field.word(), kLongestShown), wrong));
  return false;
}

bool check_key(Reader& reader, const Field& at, std::string_view key) {
  const std::string_view wrong = wrong_label_key(key);
  if (!wrong.empty()) reader.fault(at, fmt::format("the label's key \"{}\" {}", printable(key, kLongestShown), wrong));
  return wrong.empty();
}

std::optional<Operator> read_operator(Reader& reader, const Field& field) {
  const auto word = reader.text(field);
  if (!word) return std::nullopt;
  if (*word == "In") return Operator::in;
  if (*word == "NotIn") return Operator::not_in;
  if (*word == "Exists") return Operator::exists;
  if (*word == "DoesNotExist") return Operator::does_not_exist;
  reader.fault(field, fmt::format("\"{}\" is no operator", printable(*word, kLongestShown)),
               "use In, NotIn, Exists or DoesNotExist");
  return std::nullopt;
}

void read_values(Reader& reader, const Field& expression, Requirement& out) {
  const Field values = expression["values"];
  const bool wanted = out.op == Operator::in || out.op == Operator::not_in;
  if (values && !reader.list(values)) return;
  if (wanted && values.size() == 0) reader.missing(expression, "values", "In and NotIn need at least one value");
  if (!wanted && values.size() > 0) reader.fault(values, "must be empty: Exists and DoesNotExist take no values");
  for (const Field value : values) {
    const auto text = reader.text(value);
    if (!value) reader.fault(value, "is empty", "write \"\" for the empty value");
    if (text && check_text(reader, value, wrong_label_value(*text))) out.values.emplace_back(*text);
  }
  std::sort(out.values.begin(), out.values.end());
  out.values.erase(std::unique(out.values.begin(), out.values.end()), out.values.end());
}

void read_expression(Reader& reader, const Field& field, Selector& out) {
  if (!reader.map_of(field, {"key", "operator", "values"})) return;
  Requirement requirement;
  if (!field["key"]) reader.missing(field, "key");
  if (const auto key = reader.text(field["key"]); key && check_key(reader, field["key"], *key)) requirement.key = *key;
  if (!field["operator"]) reader.missing(field, "operator", "use In, NotIn, Exists or DoesNotExist");
  const auto op = read_operator(reader, field["operator"]);
  if (!op) return;
  requirement.op = *op;
  read_values(reader, field, requirement);
  out.requirements.push_back(std::move(requirement));
}

// Decimals without leading zeros: "010.0.0.0/08" -> "10.0.0.0/8".
std::string without_leading_zeros(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool begins = i == 0 || !is_digit(text[i - 1]);
    if (text[i] == '0' && begins && i + 1 < text.size() && is_digit(text[i + 1])) {
      while (i + 1 < text.size() && text[i] == '0' && is_digit(text[i + 1]))
        ++i;
    }
    out += text[i];
  }
  return out;
}

}  // namespace

ObjectKey named(ObjectKey::Kind kind, const Field& root) {
  const Field metadata = root["metadata"];
  ObjectKey key{kind, {}, shown_text(metadata["name"])};
  if (!is_namespaced(kind)) return key;
  const Field name_space = metadata["namespace"];
  if (name_space) key.name_space = shown_text(name_space);
  if (key.name_space.empty()) key.name_space = kDefaultNamespace;
  return key;
}

void check_metadata(Reader& reader, ObjectKey::Kind kind) {
  const Field metadata = reader.root()["metadata"];
  if (!metadata) return reader.missing(reader.root(), "metadata");
  if (!reader.map(metadata)) return;
  const Field name = metadata["name"];
  if (!name) {
    reader.missing(metadata, "name", metadata["generateName"] ? "only the API server makes names of generateName" : "");
  }
  if (const auto text = reader.text(name))
    check_text(reader, name, kind == ObjectKey::Kind::name_space ? wrong_label_name(*text) : wrong_subdomain(*text));
  const Field name_space = metadata["namespace"];
  const auto text = reader.text(name_space);
  if (!text || text->empty()) return;
  if (is_namespaced(kind)) {
    check_text(reader, name_space, wrong_label_name(*text));
  } else {
    reader.fault(name_space, fmt::format("must not be set: a {} is in no namespace", kind_name(kind)));
  }
}

Labels read_labels(Reader& reader, const Field& field) {
  Labels out;
  if (!reader.map(field)) return out;
  out.reserve(field.size());
  for (const Field entry : field) {
    const auto value = reader.text(entry);
    const bool good = check_key(reader, entry, entry.key());
    if (!entry) {
      if (good) out.emplace_back(entry.key(), "");
    } else if (value && check_text(reader, entry, wrong_label_value(*value)) && good) {
      out.emplace_back(entry.key(), *value);
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::string_view annotation(Reader& reader, std::string_view key) {
  const Field annotations = reader.root()["metadata"]["annotations"];
  if (!reader.map(annotations)) return {};
  return reader.text(annotations[key]).value_or(std::string_view{});
}

Selector read_selector(Reader& reader, const Field& field) {
  Selector out;
  if (!reader.map_of(field, {"matchLabels", "matchExpressions"})) return out;
  for (auto& [key, value] : read_labels(reader, field["matchLabels"]))
    out.requirements.push_back({std::move(key), Operator::in, {std::move(value)}});
  const Field expressions = field["matchExpressions"];
  if (expressions && reader.full_list(expressions, kMostRequirements)) {
    for (const Field expression : expressions)
      read_expression(reader, expression, out);
  }
  // In one order and each once, so that equal selectors are equal values.
  const auto less = [](const Requirement& a, const Requirement& b) {
    return std::tie(a.key, a.op, a.values) < std::tie(b.key, b.op, b.values);
  };
  std::sort(out.requirements.begin(), out.requirements.end(), less);
  out.requirements.erase(std::unique(out.requirements.begin(), out.requirements.end()), out.requirements.end());
  return out;
}

std::optional<Prefix> read_cidr(Reader& reader, const Field& field, bool legacy) {
  const auto text = reader.text(field);
  if (!text) return std::nullopt;
  std::string_view word = *text;
  const std::string plain = without_leading_zeros(word.substr(0, kLongestShown));
  const bool zeros = plain != word && word.find(':') == std::string_view::npos && word.size() <= kLongestShown;
  if (zeros && legacy) word = plain;
  const auto prefix = parse_prefix(word);
  if (!prefix) {
    const bool address = parse_address(word).has_value();
    reader.fault(field, fmt::format("\"{}\" is no CIDR", printable(*text, kLongestShown)),
                 address ? fmt::format("write {}/{} for the one address", word, word.find(':') == word.npos ? 32 : 128)
                 : zeros ? fmt::format("leading zeros are ambiguous; write {}", plain)
                         : "write it like 10.0.0.0/8 or fd00::/48");
    return std::nullopt;
  }
  if (zeros) {
    reader.remark(field, fmt::format("leading zeros are read as decimals: {}", plain), "write it without them");
  } else if (const auto base = parse_address(word.substr(0, word.find('/'))); base && *base != prefix->address) {
    reader.remark(field, fmt::format("{} has bits behind its length and means {}", word, format(*prefix)),
                  fmt::format("write {}", format(*prefix)));
  }
  return prefix;
}

std::optional<Protocol> read_protocol(Reader& reader, const Field& field) {
  if (!field) return Protocol::tcp;
  const auto word = reader.text(field);
  if (!word) return std::nullopt;
  if (*word == "TCP") return Protocol::tcp;
  if (*word == "UDP") return Protocol::udp;
  if (*word == "SCTP") return Protocol::sctp;
  reader.fault(field, fmt::format("\"{}\" is no protocol that can be named here", printable(*word, kLongestShown)),
               "use TCP, UDP or SCTP");
  return std::nullopt;
}

}  // namespace omnitide::policy
