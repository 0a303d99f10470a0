#include "agent/kubernetes/access.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "agent/base/file.hpp"
#include "agent/base/text.hpp"

namespace omnitide::kubernetes {

namespace {

constexpr std::chrono::seconds kTokenAge{60};  // the kubelet renews a token an eighth of its life, minutes, ahead

Result<std::string> text_of(const Material& material) {
  if (material.file.empty()) return material.text;
  return read_file(material.file);
}

// It becomes part of a header.
Result<std::string> checked_token(std::string_view text, const std::string& where) {
  const std::string_view token = trim(text);
  if (token.empty()) return fail(Code::unauthenticated, where + " has no token in it");
  if (!std::ranges::all_of(token, [](unsigned char c) { return c > 0x20 && c < 0x7f; }))
    return fail(Code::invalid_argument, where + " has bytes that no token has");
  return std::string(token);
}

}  // namespace

Result<Access> in_cluster(const std::string& host, const std::string& port, std::string folder) {
  if (host.empty() || port.empty())
    return fail(Code::failed_precondition,
                "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: this is no pod")
        .with_hint("name a kubeconfig file");
  if (!parse_number<std::uint16_t>(port))
    return fail(Code::invalid_argument, "KUBERNETES_SERVICE_PORT \"" + printable(port, 40) + "\" is no port");
  Access out;
  const bool v6 = host.find(':') != std::string::npos;
  out.server = "https://" + (v6 ? "[" + host + "]" : host) + ":" + port;
  out.cas.file = folder + "/ca.crt";
  out.token.file = folder + "/token";
  if (const Result<std::string> name = read_file(folder + "/namespace"); name && !trim(*name).empty())
    out.default_namespace = std::string(trim(*name));
  return out;
}

Result<std::string> Credentials::token(SteadyTime now, bool anew) {
  if (access_.token.empty()) return std::string();
  if (token_read_ && !anew && (access_.token.file.empty() || now - *token_read_ < kTokenAge)) return token_;
  Result<std::string> text = text_of(access_.token);
  if (text.has_error()) {
    // A token that cannot be read now may be readable later; until it is refused, the last one is as good.
    if (token_read_ && !anew) return token_;
    return std::move(text).error().within("cannot read the token");
  }
  Result<std::string> token =
      checked_token(*text, access_.token.file.empty() ? std::string("the kubeconfig") : access_.token.file);
  if (token.has_error()) return token;
  token_ = std::move(*token);
  token_read_ = now;
  return token_;
}

Result<io::TlsContext> Credentials::tls() {
  std::string texts[3];
  const Material* const from[3] = {&access_.cas, &access_.certificate, &access_.key};
  for (int i = 0; i < 3; ++i) {
    Result<std::string> text = text_of(*from[i]);
    if (text.has_error()) return std::move(text).error().within("cannot prepare TLS");
    texts[i] = std::move(*text);
  }
  if (texts[0].empty() && !access_.cas.empty()) return fail(Code::invalid_argument, access_.cas.file + " is empty");
  std::string all = texts[0] + '\0' + texts[1] + '\0' + texts[2];
  if (tls_ && all == tls_of_) return tls_;
  Result<io::TlsContext> made = io::TlsContext::client_from_pem(texts[0], texts[1], texts[2]);
  if (made.has_error()) return made;
  tls_ = std::move(*made);
  tls_of_ = std::move(all);
  return tls_;
}

}  // namespace omnitide::kubernetes
