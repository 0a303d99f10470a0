// File trees that stand for a machine: the ones kept in tests/fixtures, and ones that a test builds for itself.
#pragma once

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>

#include "agent/base/fd.hpp"
#include "agent/base/root.hpp"

namespace omnitide::test {

[[nodiscard]] inline std::string fixture_path(std::string_view name) {
  return std::string(OMNITIDE_FIXTURES) + "/" + std::string(name);
}

// The tree tests/fixtures/NAME, opened; throws std::runtime_error when there is none.
[[nodiscard]] inline Root fixture(std::string_view name) {
  Result<Root> root = Root::open(fixture_path(name));
  if (root.has_error()) throw std::runtime_error(root.error().text());
  return std::move(*root);
}

// A tree in a temporary folder, removed at the end. Paths are relative to its root; parents are made as needed.
class TempTree {
 public:
  TempTree() {
    std::string name = (std::filesystem::temp_directory_path() / "omnitide-tree-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a temporary folder");
    path_ = std::filesystem::canonical(name);
  }
  // Begins as a copy of tests/fixtures/NAME, links kept as links.
  explicit TempTree(std::string_view name) : TempTree() {
    std::filesystem::copy(fixture_path(name), path_,
                          std::filesystem::copy_options::recursive | std::filesystem::copy_options::copy_symlinks);
  }
  TempTree(const TempTree&) = delete;
  TempTree& operator=(const TempTree&) = delete;
  ~TempTree() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  // Each of these replaces what is there.
  TempTree& file(std::string_view at, std::string_view content) {
    std::ofstream out(fresh(at), std::ios::binary);
    out.write(content.data(), static_cast<std::streamsize>(content.size()));
    if (!out) throw std::runtime_error("cannot write " + std::string(at));
    return *this;
  }
  TempTree& folder(std::string_view at) {
    std::filesystem::create_directories(fresh(at));
    return *this;
  }
  TempTree& link(std::string_view at, std::string_view target) {
    std::filesystem::create_symlink(target, fresh(at));
    return *this;
  }
  TempTree& fifo(std::string_view at) {
    if (::mkfifo(fresh(at).c_str(), 0600) != 0) throw std::runtime_error("cannot make a FIFO");
    return *this;
  }
  // A unix socket that nobody listens at any more.
  TempTree& socket(std::string_view at) {
    const std::string full = fresh(at).string();
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (full.size() >= sizeof address.sun_path) throw std::runtime_error("the path of the socket is too long");
    full.copy(static_cast<char*>(address.sun_path), full.size());
    const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      throw std::runtime_error("cannot make a socket");
    return *this;
  }
  // A sparse file that reads as `bytes` zero bytes and takes no space.
  TempTree& huge(std::string_view at, std::uint64_t bytes) {
    file(at, "");
    std::filesystem::resize_file(path_ / at, bytes);
    return *this;
  }
  TempTree& remove(std::string_view at) {
    std::filesystem::remove_all(path_ / at);
    return *this;
  }

  [[nodiscard]] std::string path() const { return path_.string(); }
  [[nodiscard]] Root root() const {
    Result<Root> root = Root::open(path_.string());
    if (root.has_error()) throw std::runtime_error(root.error().text());
    return std::move(*root);
  }

 private:
  std::filesystem::path fresh(std::string_view at) {
    std::filesystem::path full = path_ / at;
    std::filesystem::remove_all(full);
    std::filesystem::create_directories(full.parent_path());
    return full;
  }
  std::filesystem::path path_;
};

}  // namespace omnitide::test
