// Programs that set a network up, run in the calling thread's namespaces.
#pragma once

#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <string>

namespace omnitide::test {

// `input` is what the program reads. Throws when it does not end well; what it says goes to the test's stderr.
inline void command(const std::string& line, const std::string& input = {}) {
  FILE* pipe = ::popen(line.c_str(), "w");  // a child of this thread: it has its namespaces
  if (pipe == nullptr) throw std::runtime_error("cannot run " + line);
  const std::size_t written = std::fwrite(input.data(), 1, input.size(), pipe);
  if (::pclose(pipe) != 0 || written != input.size()) throw std::runtime_error(line + " failed on:\n" + input);
}

// "net.ipv4.ip_forward"; a device's name must not have dots.
inline void set_sysctl(std::string name, const std::string& value) {
  for (char& c : name)
    if (c == '.') c = '/';
  std::ofstream file("/proc/sys/" + name);
  file << value << std::flush;
  if (!file) throw std::runtime_error("cannot set the sysctl " + name);
}

}  // namespace omnitide::test
