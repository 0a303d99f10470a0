// `policy matrix`: the verdict on every pair of pods.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/text.hpp"
#include "agent/cli/policy_ask.hpp"
#include "agent/cli/policy_commands.hpp"
#include "agent/cli/policy_objects.hpp"
#include "agent/policy/probes.hpp"

namespace omnitide::cli {

namespace {

using policy::End;
using policy::Examiner;

constexpr std::size_t kMostInTable = 60;  // ends a side
constexpr std::size_t kChunk = 64U << 10U;
constexpr std::size_t kMostQuestions = 64;
// What a port's name stands for where a pod has none of that name: what no rule about ports includes.
constexpr std::uint16_t kNoPort = 0;

struct MatrixOptions {
  std::string objects;
  std::vector<std::string> ports, protocols, from, to;
};

struct Asked {
  AskedPort port;
  policy::Protocol protocol = policy::Protocol::tcp;
  std::string title;  // of its table
};

struct Matrix {
  std::vector<End> from, to;
  std::vector<Asked> asked;
};

// Each port with each protocol; without ports what the policies tell apart.
Result<std::vector<Asked>> questions(const MatrixOptions& options, const std::vector<policy::ObjectRef>& objects) {
  std::vector<policy::Protocol> protocols;
  for (const std::string& text : split_list(options.protocols)) {
    const Result<policy::Protocol> protocol = parse_protocol(text);
    if (protocol.has_error()) return protocol.error();
    protocols.push_back(*protocol);
  }
  std::vector<Asked> out;
  const std::vector<std::string> ports = split_list(options.ports);
  if (ports.empty() != options.ports.empty()) return fail(Code::invalid_argument, "--ports names no port");
  for (const std::string& text : ports) {
    const Result<AskedPort> port = parse_port(text);
    if (port.has_error()) return port.error();
    if (protocols.empty()) protocols.push_back(policy::Protocol::tcp);
    for (const policy::Protocol protocol : protocols) {
      if (protocol != policy::Protocol::icmp)
        out.push_back({*port, protocol, fmt::format("{} {}", policy::protocol_name(protocol), printable(text))});
    }
  }
  if (std::ranges::find(protocols, policy::Protocol::icmp) != protocols.end())
    out.push_back({{}, policy::Protocol::icmp, "ICMP"});
  if (!ports.empty() || !out.empty()) return out;
  for (const policy::PortProbe& probe : policy::port_probes(objects)) {
    if (protocols.empty() || std::ranges::find(protocols, probe.protocol) != protocols.end())
      out.push_back({{probe.first, {}}, probe.protocol, policy::describe(probe)});
  }
  if (out.size() > kMostQuestions)
    return fail(Code::invalid_argument, fmt::format("the policies tell {} ports apart, more than fit here", out.size()))
        .with_hint("name the ports that matter: --ports 80,443");
  return out;
}

Result<std::vector<End>> ends(const Examiner& examiner, const std::vector<std::string>& texts) {
  if (texts.empty()) return examiner.pods();
  std::vector<End> out;
  for (const std::string& text : split_list(texts)) {
    const Result<std::vector<End>> found = examiner.find(text);
    if (found.has_error()) return found.error();
    out.insert(out.end(), found->begin(), found->end());
  }
  return out;
}

// The contract's form: one object a line. Where a pod's families are judged differently the other one is told too.
std::string line_of(const End& from, const End& to, const Asked& asked, const policy::Answer& answer) {
  const std::string port = asked.port.name.empty() ? std::to_string(asked.port.number) : json_quote(asked.port.name);
  return fmt::format(R"({{"from":{},"to":{},{}"protocol":"{}","ingress":"{}","egress":"{}","verdict":"{}")",
                     json_quote(from.name), json_quote(to.name),
                     asked.protocol == policy::Protocol::icmp ? "" : fmt::format("\"port\":{},", port),
                     protocol_text(asked.protocol), verdict_word(answer.ingress.allowed),
                     verdict_word(answer.egress.allowed), verdict_word(answer.allowed()));
}

std::string other_family(const policy::Answer& answer, bool v4) {
  return fmt::format(R"(,"{}":{{"ingress":"{}","egress":"{}","verdict":"{}"}})", v4 ? "ipv4" : "ipv6",
                     verdict_word(answer.ingress.allowed), verdict_word(answer.egress.allowed),
                     verdict_word(answer.allowed()));
}

bool same_verdict(const policy::Answer& a, const policy::Answer& b) {
  return a.ingress.allowed == b.ingress.allowed && a.egress.allowed == b.egress.allowed;
}

int print_lines(const Session& session, Examiner& examiner, const Matrix& matrix) {
  std::string out;
  std::size_t strangers = 0;
  for (const End& from : matrix.from) {
    for (const End& to : matrix.to) {
      const std::vector<bool> families = Examiner::common_families(from, to);
      if (families.empty()) {
        ++strangers;
        continue;
      }
      for (const Asked& asked : matrix.asked) {
        const auto resolved = resolve(asked.port, asked.protocol, to);
        const std::uint16_t number = resolved.value_or(kNoPort);
        const auto answer = examiner.ask(from, to, asked.protocol, number, families.front());
        out += line_of(from, to, asked, *answer);
        if (families.size() > 1) {
          const auto other = examiner.ask(from, to, asked.protocol, number, families[1]);
          if (!same_verdict(*answer, *other)) out += other_family(*other, families[1]);
        }
        out += resolved ? "}\n" : ",\"note\":\"no such port\"}\n";
      }
      if (out.size() < kChunk) continue;
      if (const int printed = session.print(out); printed != 0) return printed;
      out.clear();
    }
  }
  if (strangers > 0) fmt::print(stderr, "{} pairs are left out: they have no address family in common\n", strangers);
  return session.print(out);
}

char mark_of(Examiner& examiner, const End& from, const End& to, const Asked& asked) {
  const auto number = resolve(asked.port, asked.protocol, to);
  const std::vector<bool> families = Examiner::common_families(from, to);
  if (!number || families.empty()) return ' ';
  const auto answer = examiner.ask(from, to, asked.protocol, *number, families.front());
  if (families.size() > 1) {
    const auto other = examiner.ask(from, to, asked.protocol, *number, families[1]);
    if (other->allowed() != answer->allowed()) return '?';
  }
  if (answer->allowed()) return '.';
  return answer->egress.allowed ? 'I' : answer->ingress.allowed ? 'E' : 'X';
}

// A row a source, a numbered column a destination.
std::string grid(const Session& session, Examiner& examiner, const Matrix& matrix, const Asked& asked) {
  std::string out = session.console().paint(asked.title, Style::bold) + "\n";
  std::vector<Column> columns{{""}, {"FROM \\ TO"}};
  for (std::size_t i = 0; i < matrix.to.size(); ++i)
    columns.push_back({std::to_string(i + 1), true});
  Table table(columns);
  for (std::size_t i = 0; i < matrix.from.size(); ++i) {
    std::vector<Cell> cells{std::to_string(i + 1), matrix.from[i].name};
    for (const End& to : matrix.to) {
      const char mark = mark_of(examiner, matrix.from[i], to, asked);
      cells.emplace_back(std::string(1, mark), mark == '.' ? Style::good : Style::bad);
    }
    table.row(std::move(cells));
  }
  return out + table.render(session.console()) + "\n";
}

int print_grids(const Session& session, Examiner& examiner, const Matrix& matrix) {
  if (matrix.from.size() > kMostInTable || matrix.to.size() > kMostInTable)
    return session.failed(fail(Code::invalid_argument, fmt::format("{} x {} ends do not fit into a table",
                                                                   matrix.from.size(), matrix.to.size()))
                              .with_hint("use -o json, or choose some by --from and --to"));
  if (matrix.from.empty() || matrix.to.empty()) return session.print("There are no pods here.\n");
  std::string out;
  for (const Asked& asked : matrix.asked)
    out += grid(session, examiner, matrix, asked);
  if (!std::ranges::equal(matrix.from, matrix.to, {}, &End::name, &End::name)) {
    for (std::size_t i = 0; i < matrix.to.size(); ++i)
      out += fmt::format("{}  {}\n", i + 1, matrix.to[i].name);
    out += '\n';
  }
  return session.print(
      out + ". passes   I denied where it enters   E denied where it leaves   X both   ? IPv4 and IPv6 differ\n");
}

int matrix(const Session& session, const MatrixOptions& options) {
  const Result<policy::Loaded> loaded = load_policy(session, options.objects);
  if (loaded.has_error()) return session.failed(loaded.error());
  const std::vector<policy::ObjectRef> objects = loaded->store.objects();
  Result<Examiner> examiner = Examiner::of(objects);
  if (examiner.has_error()) return session.failed(examiner.error());
  Matrix out;
  for (auto [texts, into] : {std::pair(&options.from, &out.from), std::pair(&options.to, &out.to)}) {
    Result<std::vector<End>> found = ends(*examiner, *texts);
    if (found.has_error()) return session.failed(found.error());
    *into = std::move(*found);
  }
  Result<std::vector<Asked>> asked = questions(options, objects);
  if (asked.has_error()) return session.failed(asked.error());
  out.asked = std::move(*asked);
  return session.format() == Format::json ? print_lines(session, *examiner, out) : print_grids(session, *examiner, out);
}

}  // namespace

void add_policy_matrix(Command& group, Session& session) {
  const auto options = std::make_shared<MatrixOptions>();
  Command command = group.add("matrix", "The verdict on every pair of pods");
  session.add_location(command);
  session.add_format(command, "table|json");
  add_objects_option(command, options->objects);
  command.options("--ports", options->ports, "LIST", "Numbers and names of ports (those that the policies tell apart)")
      .options("--protocols", options->protocols, "LIST", "TCP, UDP, SCTP, ICMP (TCP, or all without --ports)")
      .options("--from", options->from, "END",
               "Only from here, instead of all pods: NAMESPACE/POD, an address or a CIDR")
      .options("--to", options->to, "END", "Only to there")
      .example(
          "omnitide-agent policy matrix --objects policies/ --ports 80,443\n"
          "omnitide-agent policy matrix --objects policies/ --ports 80,http --protocols TCP,UDP -o json")
      .footnote(
          "With -o json one object a line. A port's name that a pod does not have with that protocol matches no rule\n"
          "about ports: the row says what the others say, with a note; a table leaves it empty.")
      .action([&session, options] { return matrix(session, *options); });
}

}  // namespace omnitide::cli
