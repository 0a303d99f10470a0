// Follows a Sparkplug edge node by what `mosquitto_sub -F '%q %r %x %t' -t 'spBv1.0/GROUP/#'` prints on stdin:
//   sparkplug_follower GROUP NODE [--values]
// At the end of input it prints the node's state as it was told, and with --values every value. Exit code 1: something
// was against the specification, which stands in lines that begin with PROBLEM.
#include "tests/harness/sparkplug_follower.hpp"

#include <cstdio>
#include <iostream>
#include <string>
#include <string_view>

using omnitide::test::SparkplugFollower;

int main(int argc, char** argv) {
  const bool values = argc == 4 && std::string_view(argv[3]) == "--values";
  if (argc != 3 && !values) {
    std::fputs("usage: sparkplug_follower GROUP NODE [--values]\n", stderr);
    return 2;
  }
  SparkplugFollower follower(argv[1], argv[2]);
  follower.keep_values(values);
  for (std::string line; std::getline(std::cin, line);)
    follower.line(line);
  for (const SparkplugFollower::Told& told : follower.values()) {
    std::cout << "VALUE " << told.timestamp << ' ' << (told.device.empty() ? "-" : told.device) << ' ' << told.name
              << ' ' << omnitide::test::to_text(told.value) << (told.historical ? " historical" : "")
              << (told.birth ? " birth" : "") << '\n';
  }
  std::cout << "MESSAGES " << follower.messages() << '\n' << follower.text();
  for (const std::string& problem : follower.problems())
    std::cout << "PROBLEM " << problem << '\n';
  return follower.problems().empty() ? 0 : 1;
}
