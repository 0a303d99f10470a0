// The identity on a real file system.
#include "agent/registration/identity.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "agent/base/file.hpp"
#include "agent/io/crypto.hpp"
#include "agent/registration/join_token.hpp"
#include "tests/harness/catch.hpp"

using namespace omnitide;
using namespace omnitide::registration;

namespace {

class Folder {
 public:
  Folder() {
    std::string name = "/tmp/omnitide-identity-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() {
    for (const char* file : {"/identity/node.key", "/identity/node.crt", "/identity/registration.json"})
      ::unlink((path_ + file).c_str());
    ::rmdir((path_ + "/identity").c_str());
    ::rmdir(path_.c_str());
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct Authority {
  io::PrivateKey key = *io::PrivateKey::generate();
  std::string certificate;
  Authority() {
    io::CertificateRequest request = base("ca", key);
    request.is_ca = true;
    certificate = *io::issue_certificate(request, {}, key);
  }
  [[nodiscard]] std::string issue(const io::PrivateKey& subject) const {
    return *io::issue_certificate(base(io::node_id_of(subject.public_key_info()), subject), certificate, key);
  }
  static io::CertificateRequest base(std::string name, const io::PrivateKey& subject) {
    io::CertificateRequest request;
    request.common_name = std::move(name);
    request.public_key_info = subject.public_key_info();
    request.not_before = wall_now();
    request.not_after = wall_now() + std::chrono::hours(1);
    return request;
  }
};

}  // namespace

TEST_CASE("the key is made once, readable by its owner alone, and names the node for ever") {
  const Folder folder;
  const auto first = Identity::open(folder.path());
  REQUIRE(first.has_value());
  struct stat info {};
  REQUIRE(::stat((folder.path() + "/identity/node.key").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777U) == 0600U);
  CHECK(first->node_id().size() == 28);
  CHECK(first->node_id().starts_with("n-"));
  CHECK(Identity::open(folder.path())->node_id() == first->node_id());
}

TEST_CASE("a corrupt key file is an error that names it, and is never replaced") {
  const Folder folder;
  REQUIRE(Identity::open(folder.path()).has_value());
  const std::string path = folder.path() + "/identity/node.key";
  REQUIRE(write_file_durably(path, "-----BEGIN PRIVATE KEY-----\nMIGHAg", 0600).has_value());
  const auto opened = Identity::open(folder.path());
  REQUIRE(opened.has_error());
  CHECK(opened.error().message.find(path) != std::string::npos);
  CHECK_FALSE(opened.error().hint.empty());
  CHECK(read_file(path)->find("MIGHAg") != std::string::npos);
}

TEST_CASE("a key file that others can read is refused") {
  const Folder folder;
  REQUIRE(Identity::open(folder.path()).has_value());
  REQUIRE(::chmod((folder.path() + "/identity/node.key").c_str(), 0644) == 0);
  const auto opened = Identity::open(folder.path());
  REQUIRE(opened.has_error());
  CHECK(opened.error().hint.find("chmod 600") != std::string::npos);
}

TEST_CASE("credentials and state survive a restart; a certificate of another key is refused") {
  const Folder folder;
  const Authority authority;
  auto identity = Identity::open(folder.path());
  REQUIRE(identity.has_value());
  CHECK(identity->store_credentials(authority.issue(*io::PrivateKey::generate()), {authority.certificate}).has_error());
  REQUIRE(identity->store_credentials(authority.issue(identity->key()), {authority.certificate}).has_value());
  Saved saved;
  saved.generation = 7;
  saved.labels = {{"a", "b"}};
  saved.facts_sha256 = std::string("\x00\xff", 2);
  saved.server_time = WallTime{std::chrono::seconds{1'700'000'000}};
  REQUIRE(identity->store_state(saved).has_value());

  auto again = Identity::open(folder.path());
  REQUIRE(again->credentials().has_value());
  CHECK(again->credentials()->cas.front() == authority.certificate);
  const Saved loaded = again->load_state();
  CHECK(loaded.generation == 7);
  CHECK(loaded.labels == saved.labels);
  CHECK(loaded.facts_sha256 == saved.facts_sha256);
  CHECK(loaded.server_time == saved.server_time);
}

TEST_CASE("damaged certificate and state files are named and the node goes on with its key") {
  const Folder folder;
  REQUIRE(Identity::open(folder.path()).has_value());
  REQUIRE(write_file_durably(folder.path() + "/identity/node.crt", "garbage", 0600).has_value());
  REQUIRE(write_file_durably(folder.path() + "/identity/registration.json", "{\"generation\":", 0600).has_value());
  auto identity = Identity::open(folder.path());
  REQUIRE(identity.has_value());
  CHECK_FALSE(identity->credentials().has_value());
  CHECK(identity->load_state().generation == 0);
  CHECK(identity->complaints().size() == 2);
}

TEST_CASE("a join token is taken apart, and a wrong one is never repeated in the error") {
  const std::string pin(64, 'a');
  const auto token = parse_join_token("omt1.id.secret." + pin + "\n");
  REQUIRE(token.has_value());
  CHECK(token->credential == "id.secret");
  CHECK(token->ca_pin.size() == 32);
  for (const char* wrong : {"", "omt1.id.secret", "omt2.id.secret.aa", "omt1.id.topsecret.zz"}) {
    const auto refused = parse_join_token(wrong);
    REQUIRE(refused.has_error());
    CHECK(refused.error().text().find("topsecret") == std::string::npos);
  }
}
