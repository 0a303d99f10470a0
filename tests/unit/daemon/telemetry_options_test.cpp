// From the configuration to what the publisher is told.
#include "agent/daemon/telemetry_options.hpp"

#include <stdlib.h>

#include <array>
#include <filesystem>

#include "agent/base/file.hpp"
#include "tests/harness/catch.hpp"

namespace omnitide::daemon {
namespace {

class Folder {
 public:
  Folder() {
    std::array<char, 40> name{"/tmp/omnitide-telemetry-XXXXXX"};
    path_ = ::mkdtemp(name.data());
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string write(const std::string& name, std::string_view text) const {
    REQUIRE(make_folders(std::filesystem::path(path_ + "/" + name).parent_path()).has_value());
    REQUIRE(write_file_durably(path_ + "/" + name, text, 0600).has_value());
    return path_ + "/" + name;
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

config::TelemetryConfig with_broker(const std::string& host, bool tls) {
  config::TelemetryConfig out;
  out.brokers.push_back({.url = (tls ? "mqtts://" : "mqtt://") + host, .host = host, .port = 1234, .tls = tls});
  return out;
}

TelemetryPlace place(const Folder& folder) {
  return {.state_dir = folder.path(), .node_id = "n-abc", .credentials_directory = {}};
}

}  // namespace

TEST_CASE("names default to the node id") {
  const Folder folder;
  config::TelemetryConfig config = with_broker("a", false);
  const auto options = publisher_options(config, place(folder));
  REQUIRE(options.has_value());
  CHECK(options->sparkplug->node == "n-abc");
  CHECK(options->brokers.at(0).client_id == "omnitide-n-abc");
  CHECK(options->plain.topics.at(static_cast<std::size_t>(telemetry::Stream::facts)) ==
        "omnitide/v1/omnitide/n-abc/facts");
  CHECK(options->plain.topics.at(static_cast<std::size_t>(telemetry::Stream::sparkplug)).empty());
  CHECK(options->plain.status_topic == "omnitide/v1/omnitide/n-abc/status");
  CHECK(options->folder == folder.path() + "/telemetry");
  config.node = "press-7";
  config.client_id = "client";
  config.plain.topic = "plant/{node}/x/{stream}/{group}";
  config.plain.streams = {"events"};
  const auto named = publisher_options(config, place(folder));
  REQUIRE(named.has_value());
  CHECK(named->brokers.at(0).client_id == "client");
  CHECK(named->plain.topics.at(static_cast<std::size_t>(telemetry::Stream::events)) ==
        "plant/press-7/x/events/omnitide");
  CHECK(named->plain.topics.at(static_cast<std::size_t>(telemetry::Stream::facts)).empty());
}

TEST_CASE("each broker has its own TLS, and what is off is not there") {
  const Folder folder;
  config::TelemetryConfig config = with_broker("a", false);
  config.brokers.push_back({.url = "mqtts://b", .host = "b", .port = 8883, .tls = true});
  config.tls.ca_file = "/ca.pem";
  config.tls.allow_tls12 = false;
  config.protocol = config::MqttProtocol::v311;
  config.sparkplug.enabled = false;
  const auto options = publisher_options(config, place(folder));
  REQUIRE(options.has_value());
  CHECK_FALSE(options->brokers.at(0).tls.enabled);
  CHECK(options->brokers.at(1).tls.enabled);
  CHECK(options->brokers.at(1).tls.ca_file == "/ca.pem");
  CHECK_FALSE(options->brokers.at(1).tls.allow_tls12);
  CHECK(options->brokers.at(1).version == io::MqttVersion::v311);
  CHECK_FALSE(options->sparkplug.has_value());
}

TEST_CASE("a password is the first line of its file, or a credential of systemd") {
  const Folder folder;
  config::TelemetryConfig config = with_broker("a", false);
  config.username = "u";
  config.password_file = folder.write("password", "s3 cret\nsecond line\n");
  CHECK(publisher_options(config, place(folder)).value().brokers.at(0).password == "s3 cret");
  config.password_file = folder.path() + "/none";
  const auto missing = publisher_options(config, place(folder));
  REQUIRE(missing.has_error());
  CHECK(missing.error().message.find(folder.path() + "/none") != std::string::npos);
  config.password_file = folder.write("empty", "\n");
  CHECK(publisher_options(config, place(folder)).has_error());

  config.password_file = "credential:mqtt";
  const auto none = publisher_options(config, place(folder));
  REQUIRE(none.has_error());
  CHECK(none.error().hint == "put LoadCredential=mqtt:FILE into the unit");
  (void)folder.write("credentials/mqtt", "from systemd");
  TelemetryPlace with = place(folder);
  with.credentials_directory = folder.path() + "/credentials";
  CHECK(publisher_options(config, with).value().brokers.at(0).password == "from systemd");
}

TEST_CASE("the registration's certificate is waited for") {
  const Folder folder;
  config::TelemetryConfig config = with_broker("a", true);
  config.tls.certificate = std::string(config::kRegistrationCertificate);
  const auto early = publisher_options(config, place(folder));
  REQUIRE(early.has_error());
  CHECK(early.error().code == Code::failed_precondition);
  (void)folder.write("identity/node.crt", "certificate");
  const auto there = publisher_options(config, place(folder));
  REQUIRE(there.has_value());
  CHECK(there->brokers.at(0).tls.certificate_file == folder.path() + "/identity/node.crt");
  CHECK(there->brokers.at(0).tls.key_file == folder.path() + "/identity/node.key");
}

TEST_CASE("a shared key is a line of identity and hexadecimal") {
  const Folder folder;
  config::TelemetryConfig config = with_broker("a", true);
  config.tls.psk_file = folder.write("psk", "press:7:00ff\n");
  const auto options = publisher_options(config, place(folder));
  REQUIRE(options.has_value());
  CHECK(options->brokers.at(0).tls.psk_identity == "press:7");
  CHECK(options->brokers.at(0).tls.psk_hex == "00ff");
  for (const char* wrong : {"press", "press:", "press:xyz", ":00"}) {
    config.tls.psk_file = folder.write("psk", wrong);
    CHECK(publisher_options(config, place(folder)).has_error());
  }
}

}  // namespace omnitide::daemon
