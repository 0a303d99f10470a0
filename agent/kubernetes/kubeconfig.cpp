// A kubeconfig file: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <array>
#include <exception>
#include <filesystem>
#include <utility>

#include "agent/base/file.hpp"
#include "agent/base/text.hpp"
#include "agent/kubernetes/access.hpp"

namespace omnitide::kubernetes {

namespace {

Error wrong(const std::string& field, std::string message) {
  return Error{
      .code = Code::invalid_argument, .message = field + ": " + std::move(message), .field = field, .hint = {}};
}

// The member of a map as text; empty: not there.
Result<std::string> word(const YAML::Node& map, const char* key, const std::string& where) {
  const YAML::Node found = map[key];
  if (!found || found.IsNull()) return std::string();
  if (!found.IsScalar()) return wrong(where + "." + key, "is no text");
  return found.Scalar();
}

// A Result of the node itself would take an error for a node's value.
struct Entry {
  YAML::Node value;
};

// The entry of a list of {name, WHAT: {...}}.
Result<Entry> named(const YAML::Node& root, const char* list, const char* what, const std::string& name) {
  const YAML::Node entries = root[list];
  if (!entries || !entries.IsSequence()) return wrong(list, "is no list");
  for (const YAML::Node& entry : entries) {
    if (!entry.IsMap() || !entry["name"] || !entry["name"].IsScalar() || entry["name"].Scalar() != name) continue;
    const YAML::Node value = entry[what];
    if (!value || !value.IsMap()) return wrong(fmt::format("{}[{}].{}", list, printable(name, 60), what), "is no map");
    return Entry{value};
  }
  return wrong(list, "there is none with the name \"" + printable(name, 60) + "\"");
}

class Reading {
 public:
  explicit Reading(std::string folder) : folder_(std::move(folder)) {}

  // KEY-data, base64, before the file that KEY names.
  Result<Material> material(const YAML::Node& map, const std::string& key, const std::string& where) const {
    const Result<std::string> data = word(map, (key + "-data").c_str(), where), file = word(map, key.c_str(), where);
    if (data.has_error()) return data.error();
    if (file.has_error()) return file.error();
    Material out;
    if (!data->empty()) {
      const std::optional<std::string> text = base64_decode(*data);
      if (!text) return wrong(where + "." + key + "-data", "is not base64");
      out.text = *text;
    } else if (!file->empty()) {
      out.file = absolute(*file);
    }
    return out;
  }
  [[nodiscard]] std::string absolute(const std::string& file) const {
    return std::filesystem::path(file).is_absolute() ? file : (std::filesystem::path(folder_) / file).string();
  }

 private:
  std::string folder_;
};

Result<> read_cluster(const YAML::Node& cluster, const std::string& where, const Reading& reading, Access& out) {
  Result<std::string> server = word(cluster, "server", where), name = word(cluster, "tls-server-name", where),
                      insecure = word(cluster, "insecure-skip-tls-verify", where),
                      proxy = word(cluster, "proxy-url", where);
  for (const Result<std::string>* each : {&server, &name, &insecure, &proxy})
    if (each->has_error()) return each->error();
  if (server->empty()) return wrong(where + ".server", "is missing");
  if (!server->starts_with("https://")) return wrong(where + ".server", "does not begin with https://");
  if (*insecure == "true")
    return wrong(where + ".insecure-skip-tls-verify", "a server that proves nothing is not spoken to");
  if (!proxy->empty()) return wrong(where + ".proxy-url", "proxies are not supported");
  while (server->ends_with('/'))
    server->pop_back();
  out.server = std::move(*server);
  out.server_name = std::move(*name);
  Result<Material> cas = reading.material(cluster, "certificate-authority", where);
  if (cas.has_error()) return cas.error();
  out.cas = std::move(*cas);
  return {};
}

Result<> read_user(const YAML::Node& user, const std::string& where, const Reading& reading, Access& out) {
  constexpr std::array kRefused{"exec", "auth-provider", "username", "password", "as", "as-groups", "as-uid"};
  for (const char* key : kRefused)
    if (user[key])
      return wrong(where + "." + key, "is not supported: a certificate, a token or a token's file is needed");
  Result<Material> certificate = reading.material(user, "client-certificate", where),
                   key = reading.material(user, "client-key", where);
  Result<std::string> token = word(user, "token", where), token_file = word(user, "tokenFile", where);
  if (certificate.has_error()) return certificate.error();
  if (key.has_error()) return key.error();
  if (token.has_error()) return token.error();
  if (token_file.has_error()) return token_file.error();
  if (certificate->empty() != key->empty())
    return wrong(where + (key->empty() ? ".client-key" : ".client-certificate"), "is missing beside the other");
  out.certificate = std::move(*certificate);
  out.key = std::move(*key);
  // As in client-go, the file counts before the text.
  if (!token_file->empty())
    out.token.file = reading.absolute(*token_file);
  else
    out.token.text = std::move(*token);
  return {};
}

Result<Access> read_kubeconfig(const YAML::Node& root, const std::string& wanted, const Reading& reading) {
  if (!root.IsMap()) return fail(Code::invalid_argument, "it is no map");
  Result<std::string> name = wanted;
  if (wanted.empty()) name = word(root, "current-context", "");
  if (name.has_error()) return name.error();
  if (name->empty()) return wrong("current-context", "is missing");
  const Result<Entry> context = named(root, "contexts", "context", *name);
  if (context.has_error()) return context.error();
  const std::string where = "contexts[" + printable(*name, 60) + "].context";
  const Result<std::string> cluster = word(context->value, "cluster", where),
                            user = word(context->value, "user", where);
  Result<std::string> space = word(context->value, "namespace", where);
  if (cluster.has_error()) return cluster.error();
  if (user.has_error()) return user.error();
  if (space.has_error()) return space.error();
  Access out;
  if (!space->empty()) out.default_namespace = std::move(*space);
  const Result<Entry> cluster_map = named(root, "clusters", "cluster", *cluster);
  if (cluster_map.has_error()) return cluster_map.error();
  if (Result<> read =
          read_cluster(cluster_map->value, "clusters[" + printable(*cluster, 60) + "].cluster", reading, out);
      read.has_error())
    return read.error();
  if (user->empty()) return out;
  const Result<Entry> user_map = named(root, "users", "user", *user);
  if (user_map.has_error()) return user_map.error();
  if (Result<> read = read_user(user_map->value, "users[" + printable(*user, 60) + "].user", reading, out);
      read.has_error())
    return read.error();
  return out;
}

}  // namespace

Result<Access> access_of_kubeconfig(const std::string& path, const std::string& context) {
  const Result<std::string> text = read_file(path);
  if (text.has_error()) return text.error();
  Result<Access> out = fail(Code::invalid_argument, "it cannot be read");
  try {
    out = read_kubeconfig(YAML::Load(*text), context, Reading(std::filesystem::path(path).parent_path().string()));
  } catch (const std::exception& problem) {  // yaml-cpp's own, and those of its nodes
    out = fail(Code::invalid_argument, printable(problem.what(), 200));
  }
  if (out.has_error()) return std::move(out).error().within(path);
  return out;
}

}  // namespace omnitide::kubernetes
