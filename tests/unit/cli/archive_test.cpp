#include "agent/cli/archive.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "agent/base/fd.hpp"
#include "agent/base/file.hpp"
#include "agent/cli/redact.hpp"
#include "tests/harness/catch.hpp"
#include "tests/harness/fixture.hpp"

namespace omnitide::cli {
namespace {

// What the system's tar says about a file.
std::string tar(std::vector<const char*> words) {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::dup2(writer.get(), STDOUT_FILENO);
    words.insert(words.begin(), "tar");
    words.push_back(nullptr);
    ::execvp("tar", const_cast<char* const*>(words.data()));
    ::_exit(127);
  }
  writer.reset();
  std::string out;
  std::array<char, 4096> chunk{};
  for (ssize_t got = 0; (got = ::read(reader.get(), chunk.data(), chunk.size())) > 0;)
    out.append(chunk.data(), static_cast<std::size_t>(got));
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WEXITSTATUS(status) == 0);
  return out;
}

}  // namespace

TEST_CASE("tar reads what was written, members of every size") {
  TarWriter writer("support-x", 1'767'268'800);
  const std::vector<std::size_t> sizes{0, 1, 511, 512, 513, 100'000};
  for (const std::size_t size : sizes)
    writer.add("member-" + std::to_string(size), std::string(size, 'x'));
  writer.add("text", "hello\n");
  const Result<std::string> packed = gzip(std::move(writer).finish());
  REQUIRE(packed.has_value());
  const test::TempTree folder;
  const std::string file = folder.path() + "/a.tar.gz";
  REQUIRE(write_file_durably(file, *packed, 0600).has_value());
  std::string names;
  for (const std::size_t size : sizes)
    names += "support-x/member-" + std::to_string(size) + "\n";
  CHECK(tar({"tzf", file.c_str()}) == names + "support-x/text\n");
  CHECK(tar({"xzOf", file.c_str(), "support-x/text"}) == "hello\n");
  CHECK(tar({"xzOf", file.c_str(), "support-x/member-513"}) == std::string(513, 'x'));
  CHECK(tar({"tvzf", file.c_str(), "support-x/text"}).starts_with("-rw------- root/root"));
}

TEST_CASE("a name that is too long is cut, and the archive stays readable") {
  TarWriter writer("support-x", 0);
  writer.add(std::string(300, 'n'), "a");
  writer.add("after", "b");
  const std::string archive = std::move(writer).finish();
  CHECK(archive.size() % 512 == 0);
  const test::TempTree folder;
  REQUIRE(write_file_durably(folder.path() + "/a.tar", archive).has_value());
  CHECK(tar({"xOf", (folder.path() + "/a.tar").c_str(), "support-x/after"}) == "b");
}

TEST_CASE("secrets do not leave the machine") {
  CHECK(redact("token omt1.abc.def.0123 used") == "token omt1.[removed] used");
  CHECK(redact("Authorization: Bearer abc123\nnext") == "Authorization: Bearer [removed]\nnext");
  CHECK(redact("password=hunter2, user=a") == "password=[removed], user=a");
  CHECK(redact("a\n-----BEGIN PRIVATE KEY-----\nMIG\n-----END PRIVATE KEY-----\nb") == "a\n[removed]\nb");
  CHECK(redact("-----BEGIN EC PRIVATE KEY-----\nMIG and no end") == "[removed]");
  CHECK(redact("-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----") ==
        "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----");
  CHECK(redact("token_file: /etc/omnitide/join-token") == "token_file: /etc/omnitide/join-token");
  CHECK(redact("omt1.").ends_with("omt1."));
}

}  // namespace omnitide::cli
