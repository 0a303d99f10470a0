#include "agent/metrics/authenticator.hpp"

#include <crypt.h>

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "agent/base/random.hpp"
#include "agent/base/text.hpp"
#include "tests/harness/catch.hpp"

using namespace omnitide;
using metrics::Authenticator;
using Verdict = Authenticator::Verdict;

namespace {

std::string bcrypt(const std::string& password, const char* prefix = "$2b$") {
  const std::string random = random_bytes(16);
  std::array<char, CRYPT_GENSALT_OUTPUT_SIZE> salt{};
  REQUIRE(::crypt_gensalt_rn(prefix, 4, random.data(), 16, salt.data(), static_cast<int>(salt.size())) != nullptr);
  const auto data = std::make_unique<crypt_data>();
  const char* hash = ::crypt_r(password.c_str(), salt.data(), data.get());
  REQUIRE(hash != nullptr);
  return hash;
}

std::string basic(const std::string& pair) { return "Basic " + base64_encode(pair); }

}  // namespace

TEST_CASE("a good password needs bcrypt once, then it is remembered") {
  Authenticator auth({{"alice", bcrypt("secret")}, {"bob", bcrypt("other", "$2y$")}}, "");
  CHECK(auth.required());
  CHECK(auth.check(basic("alice:secret")) == Verdict::unknown);
  CHECK(auth.verify(basic("alice:secret")));
  CHECK(auth.check(basic("alice:secret")) == Verdict::granted);
  CHECK(auth.check("bAsIc " + base64_encode("alice:secret")) == Verdict::granted);
  CHECK(auth.check(basic("bob:secret")) == Verdict::unknown);
  CHECK(auth.verify(basic("bob:other")));
}

TEST_CASE("what is wrong is never granted and never remembered") {
  Authenticator auth({{"alice", bcrypt("secret")}}, "");
  for (const std::string& pair : {std::string("alice:wrong"), std::string("alice:"), std::string("alice:secret "),
                                  std::string("mallory:secret"), std::string(":secret"), std::string("Alice:secret")}) {
    INFO(pair);
    CHECK(auth.check(basic(pair)) == Verdict::unknown);
    CHECK_FALSE(auth.verify(basic(pair)));
    CHECK(auth.check(basic(pair)) == Verdict::unknown);
  }
  for (const std::string& header :
       {std::string(), std::string("Basic"), std::string("Basic "), std::string("Basic !!!"), basic("nocolon"),
        basic(std::string("alice:secret\0x", 14)), std::string("Bearer x"), std::string("Digest a"),
        "Basic" + base64_encode("alice:secret"), "Basic " + std::string(100'000, 'A')}) {
    INFO(header.substr(0, 40));
    CHECK(auth.check(header) == Verdict::denied);
    CHECK_FALSE(auth.verify(header));
  }
}

TEST_CASE("a bearer token is compared whole, and stands beside passwords") {
  Authenticator bearer({}, "t0ken");
  CHECK(bearer.check("Bearer t0ken") == Verdict::granted);
  CHECK(bearer.check("bearer t0ken") == Verdict::granted);
  for (const char* wrong : {"Bearer t0ke", "Bearer t0ken1", "Bearer", "Bearer ", "t0ken", "", "Basic dDprOg=="}) {
    INFO(wrong);
    CHECK(bearer.check(wrong) == Verdict::denied);
    CHECK_FALSE(bearer.verify(wrong));
  }
  CHECK(bearer.challenge() == "Bearer");
  Authenticator both({{"alice", bcrypt("secret")}}, "t0ken");
  CHECK(both.check("Bearer t0ken") == Verdict::granted);
  CHECK(both.check("Bearer wrong") == Verdict::denied);
  CHECK(both.verify(basic("alice:secret")));
}

TEST_CASE("without users and token nothing is asked") {
  Authenticator open({}, "");
  CHECK_FALSE(open.required());
  CHECK(open.check("") == Verdict::granted);
}

TEST_CASE("what is remembered is bounded") {
  std::map<std::string, std::string> users;
  const std::string hash = bcrypt("secret");
  for (int i = 0; i < 65; ++i)
    users["u" + std::to_string(i)] = hash;
  Authenticator auth(users, "");
  for (const auto& [name, unused] : users)
    CHECK(auth.verify(basic(name + ":secret")));
  CHECK(auth.check(basic(users.begin()->first + ":secret")) == Verdict::unknown);
  CHECK(auth.check(basic(users.rbegin()->first + ":secret")) == Verdict::granted);
}

TEST_CASE("many threads may ask at once") {
  Authenticator auth({{"alice", bcrypt("secret")}}, "");
  std::vector<std::thread> threads;
  std::atomic<int> good{0}, bad{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { good += auth.verify(basic("alice:secret")) ? 1 : 0; });
    threads.emplace_back([&] { bad += auth.verify(basic("alice:wrong")) ? 1 : 0; });
  }
  for (std::thread& thread : threads)
    thread.join();
  CHECK(bad == 0);
  CHECK(auth.verify(basic("alice:secret")));
}

TEST_CASE("only bcrypt hashes of bearable cost are taken") {
  CHECK(metrics::is_bcrypt_hash(bcrypt("x")));
  CHECK(metrics::is_bcrypt_hash(bcrypt("x", "$2y$")));
  const std::string good = bcrypt("x");
  CHECK_FALSE(metrics::is_bcrypt_hash(""));
  CHECK_FALSE(metrics::is_bcrypt_hash("secret"));
  CHECK_FALSE(metrics::is_bcrypt_hash(good + "x"));
  CHECK_FALSE(metrics::is_bcrypt_hash("$2b$31" + good.substr(6)));
  CHECK_FALSE(metrics::is_bcrypt_hash("$2b$4x" + good.substr(6)));
  CHECK_FALSE(metrics::is_bcrypt_hash("$6$" + good.substr(3)));
  CHECK_FALSE(metrics::is_bcrypt_hash(good.substr(0, 59) + ":"));
}
