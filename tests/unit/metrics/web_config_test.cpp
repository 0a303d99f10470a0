#include "agent/metrics/web_config.hpp"

#include <string>

#include "tests/harness/catch.hpp"

using namespace omnitide;
using metrics::parse_web_config;

namespace {
const std::string kHash = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG";

std::string fault_of(const std::string& text) {
  const auto config = parse_web_config(text, "/etc/omnitide");
  REQUIRE_FALSE(config);
  CHECK(config.error().code == Code::invalid_argument);
  return config.error().message;
}
}  // namespace

TEST_CASE("node_exporter's documented file is read") {
  const auto config = parse_web_config(
      "tls_server_config:\n"
      "  cert_file: server.crt\n"
      "  key_file: /secret/server.key\n"
      "  client_auth_type: RequireAndVerifyClientCert\n"
      "  client_ca_file: ca.crt\n"
      "  min_version: TLS13\n"
      "  max_version: TLS13\n"
      "  prefer_server_cipher_suites: true\n"
      "http_server_config:\n"
      "  http2: false\n"
      "  headers:\n"
      "    X-Frame-Options: deny\n"
      "    Strict-Transport-Security: max-age=31536000\n"
      "basic_auth_users:\n"
      "  alice: " +
          kHash + "\n",
      "/etc/omnitide");
  REQUIRE(config);
  const metrics::WebTls expected{.cert_file = "/etc/omnitide/server.crt",
                                 .key_file = "/secret/server.key",
                                 .client_ca_file = "/etc/omnitide/ca.crt",
                                 .client_auth = io::ClientAuth::required,
                                 .allow_tls12 = false};
  CHECK(config->tls == expected);
  CHECK(config->users.at("alice") == kHash);
  REQUIRE(config->headers.size() == 2);
  CHECK(config->headers[0] == std::pair<std::string, std::string>("X-Frame-Options", "deny"));
}

TEST_CASE("an empty file asks for nothing") {
  for (const char* text :
       {"", "# only comments\n", "tls_server_config:\nbasic_auth_users:\nhttp_server_config:\n", "{}"}) {
    const auto config = parse_web_config(text, "");
    REQUIRE(config);
    CHECK_FALSE(config->tls);
    CHECK(config->users.empty());
  }
}

TEST_CASE("all faults are told at once, each with line and field, and the nearest name") {
  const std::string message = fault_of(
      "tls_server_confg: {}\n"
      "tls_server_config:\n"
      "  cert_fil: a\n"
      "  min_version: TLS10\n"
      "basic_auth_users:\n"
      "  alice: plain\n");
  CHECK(message.find("line 1: tls_server_confg: no such setting; did you mean tls_server_config?") !=
        std::string::npos);
  CHECK(message.find("line 3: tls_server_config.cert_fil: no such setting; did you mean cert_file?") !=
        std::string::npos);
  CHECK(message.find("line 4: tls_server_config.min_version: must be TLS12 or TLS13") != std::string::npos);
  CHECK(message.find("line 6: basic_auth_users.alice: is no bcrypt hash") != std::string::npos);
  CHECK(message.find("plain") == std::string::npos);  // no secret in the message
}

TEST_CASE("what would be weaker than it says is refused") {
  const std::string tls = "tls_server_config: {cert_file: a, key_file: b, ";
  CHECK(fault_of(tls + "client_ca_file: c}").find("needs client_auth_type") != std::string::npos);
  CHECK(fault_of(tls + "client_auth_type: RequireAndVerifyClientCert}").find("needs client_ca_file") !=
        std::string::npos);
  CHECK(fault_of(tls + "client_auth_type: RequireAnyClientCert}").find("nobody verifies") != std::string::npos);
  CHECK(fault_of(tls + "client_allowed_sans: [a]}").find("not supported") != std::string::npos);
  CHECK(fault_of(tls + "cipher_suites: [a]}").find("not supported") != std::string::npos);
  CHECK(fault_of("tls_server_config: {cert_file: a}").find("key_file is missing") != std::string::npos);
  CHECK(fault_of("rate_limit: {burst: 1}").find("not supported") != std::string::npos);
  CHECK(fault_of("http_server_config: {headers: {X-Other: a}}").find("no such setting") != std::string::npos);
  CHECK(fault_of("http_server_config: {headers: {X-XSS-Protection: \"a\\r\\nB: c\"}}").find("printable") !=
        std::string::npos);
  CHECK(fault_of("basic_auth_users: {\"a:b\": " + kHash + "}").find("no user name") != std::string::npos);
}

TEST_CASE("what is no such file is refused with a place") {
  for (const std::string& text :
       {std::string("a: [b"), std::string("\t- x"), std::string("- a\n- b\n"), std::string("just text"),
        std::string("tls_server_config: 3\n"), std::string("a: &a [*a]"), std::string("\0\xff", 2),
        "x: " + std::string(50'000, '['), std::string("basic_auth_users: [a]\n"), std::string("? [a, b]\n: c\n")}) {
    INFO(text.substr(0, 40));
    CHECK(fault_of(text).find("line ") != std::string::npos);
  }
  CHECK(parse_web_config(std::string(1U << 20U, ' '), "").error().code == Code::resource_exhausted);
  CHECK(metrics::load_web_config("/no/such/file").error().code == Code::not_found);
}
