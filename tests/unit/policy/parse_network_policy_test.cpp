// NetworkPolicy: what the API server accepts is read as it means it, what it refuses is refused with line and path.
#include <fmt/format.h>

#include "tests/harness/catch.hpp"
#include "tests/harness/policy.hpp"

using namespace omnitide;
using namespace omnitide::policy;
using namespace omnitide::test;
using Texts = std::vector<std::string>;

namespace {

// The spec is indented by two and begins on line 4.
std::string policy_of(std::string_view spec) {
  std::string out =
      "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: web, namespace: shop}\nspec:\n";
  std::size_t at = 0;
  while (at < spec.size()) {
    const std::size_t end = std::min(spec.find('\n', at), spec.size());
    out += "  " + std::string(spec.substr(at, end - at)) + "\n";
    at = end + 1;
  }
  return out;
}

// What is wrong with a spec, without the object's name.
Texts wrong(std::string_view spec) {
  const Parsed parsed = parse(policy_of(spec), kFile);
  CHECK(parsed.objects.empty());
  CHECK(parsed.refused == std::vector<ObjectKey>{{ObjectKey::Kind::network_policy, "shop", "web"}});
  Texts out = texts(parsed.faults);
  for (std::string& text : out) {
    constexpr std::string_view kName = ": NetworkPolicy shop/web";
    const std::size_t at = text.find(kName);
    if (at != std::string::npos) text.erase(at, kName.size());
  }
  return out;
}

NetworkPolicy good(std::string_view spec) { return only<NetworkPolicy>(policy_of(spec)); }

}  // namespace

TEST_CASE("a whole policy is read as it is meant") {
  const NetworkPolicy policy = good(R"(podSelector:
  matchLabels: {app: web}
  matchExpressions:
  - {key: tier, operator: NotIn, values: [b, a, b]}
policyTypes: [Egress]
ingress:
- from:
  - namespaceSelector: {matchLabels: {team: x}}
    podSelector: {}
  - podSelector: {matchLabels: {app: lb}}
  - namespaceSelector: {}
  - ipBlock: {cidr: 10.0.0.0/8, except: [10.2.0.0/16, 10.1.0.0/16]}
  ports:
  - {port: 80}
  - {protocol: UDP, port: 1000, endPort: 2000}
  - {protocol: SCTP}
  - {port: http}
egress:
- {}
- to: []
  ports: []
)");
  CHECK(policy.name_space == "shop");
  CHECK(policy.name == "web");
  CHECK(policy.pods.requirements ==
        std::vector<Requirement>{{"app", Operator::in, {"web"}}, {"tier", Operator::not_in, {"a", "b"}}});
  CHECK_FALSE(policy.isolates_ingress);
  CHECK(policy.isolates_egress);
  CHECK(policy.origin.line == 1);
  CHECK(policy.origin.file == kFile);

  REQUIRE(policy.ingress.size() == 1);
  const Rule& rule = policy.ingress[0];
  CHECK_FALSE(rule.any_peer);
  CHECK(rule.action == Action::accept);
  CHECK(rule.line == 11);
  REQUIRE(rule.peers.size() == 4);
  CHECK(rule.peers[0].name_space.empty());
  CHECK(rule.peers[0].namespaces.requirements == std::vector<Requirement>{{"team", Operator::in, {"x"}}});
  CHECK(rule.peers[1].name_space == "shop");
  CHECK(rule.peers[1].pods.requirements == std::vector<Requirement>{{"app", Operator::in, {"lb"}}});
  CHECK(rule.peers[2] == Peer{});
  CHECK(rule.peers[3].kind == Peer::Kind::blocks);
  CHECK(rule.peers[3].blocks ==
        std::vector<Block>{{prefix("10.0.0.0/8"), {prefix("10.1.0.0/16"), prefix("10.2.0.0/16")}}});
  CHECK(rule.ports == std::vector<PortMatch>{{Protocol::tcp, 80, 80, ""},
                                             {Protocol::udp, 1000, 2000, ""},
                                             {Protocol::sctp, 0, 0, ""},
                                             {Protocol::tcp, 0, 0, "http"}});
  REQUIRE(policy.egress.size() == 2);
  for (const Rule& any : policy.egress) {
    CHECK(any.any_peer);
    CHECK(any.peers.empty());
    CHECK(any.ports.empty());
  }
}

TEST_CASE("policyTypes: Ingress always, Egress only where there are egress rules") {
  const auto types = [](std::string_view spec) {
    const NetworkPolicy policy = good(spec);
    return std::pair(policy.isolates_ingress, policy.isolates_egress);
  };
  CHECK(types("podSelector: {}") == std::pair(true, false));
  CHECK(types("podSelector: {}\negress: []") == std::pair(true, false));
  CHECK(types("podSelector: {}\negress: [{}]") == std::pair(true, true));
  CHECK(types("podSelector: {}\npolicyTypes: []\negress: [{}]") == std::pair(true, true));
  CHECK(types("podSelector: {}\npolicyTypes: [Ingress]\negress: [{}]") == std::pair(true, false));
  CHECK(types("podSelector: {}\npolicyTypes: [Egress]") == std::pair(false, true));
  CHECK(types("podSelector: {}\npolicyTypes: [Egress, Ingress]") == std::pair(true, true));
}

TEST_CASE("isolation with no rule, with an empty rule, and what is null") {
  CHECK(good("podSelector: {}\ningress: []").ingress.empty());
  const NetworkPolicy open = good("podSelector: {}\ningress: [{}]");
  REQUIRE(open.ingress.size() == 1);
  CHECK(open.ingress[0].any_peer);
  // Null is absent, as in the API: no selector is every pod.
  const NetworkPolicy nulls = good("podSelector:\npolicyTypes: null\ningress:\n- from: ~\n  ports:\negress:");
  CHECK(nulls.pods.requirements.empty());
  CHECK(nulls.ingress[0].any_peer);
  CHECK(nulls.isolates_ingress);
  CHECK_FALSE(nulls.isolates_egress);
}

TEST_CASE("a namespace that is not said is default, and a policy without spec isolates its namespace") {
  const Parsed parsed = parse("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: all}\n", kFile);
  REQUIRE(parsed.objects.size() == 1);
  const auto& policy = std::get<NetworkPolicy>(parsed.objects[0]);
  CHECK(policy.name_space == "default");
  CHECK(policy.isolates_ingress);
  CHECK(policy.pods.requirements.empty());
  CHECK(
      texts(parsed.faults) ==
      Texts{
          "note 1: NetworkPolicy default/all: has no spec: it selects every pod of its namespace and lets nothing in"});
}

TEST_CASE("equal selectors are equal values, however they are written") {
  const auto pods = [](std::string_view selector) { return good(fmt::format("podSelector: {}", selector)).pods; };
  const Selector one = pods("{matchLabels: {b: x, a: y}}");
  CHECK(one ==
        pods("{matchExpressions: [{key: a, operator: In, values: [y]}, {key: b, operator: In, values: [x, x]}]}"));
  CHECK(one == pods("{matchLabels: {a: y}, matchExpressions: [{key: b, operator: In, values: [x]},"
                    " {key: a, operator: In, values: [y]}]}"));
  CHECK_FALSE(one == pods("{matchLabels: {a: x, b: y}}"));
}

TEST_CASE("labels may be empty, long and prefixed") {
  const std::string long63(63, 'a');
  const Selector selector =
      good(fmt::format("podSelector:\n  matchLabels: {{example.com/{0}: {0}, x: '', y: \"\"}}", long63)).pods;
  CHECK(selector.requirements == std::vector<Requirement>{{"example.com/" + long63, Operator::in, {long63}},
                                                          {"x", Operator::in, {""}},
                                                          {"y", Operator::in, {""}}});
}

TEST_CASE("a name that is not known is refused, with the one that was likely meant") {
  CHECK(wrong("podSelecter: {}") == Texts{"5: spec.podSelecter: is not known here (did you mean podSelector?)"});
  CHECK(wrong("podSelector: {}\ningress:\n- form: []") ==
        Texts{"7: spec.ingress[0].form: is not known here (did you mean from?)"});
  CHECK(wrong("podSelector: {}\ningress:\n- to: []") ==
        Texts{"7: spec.ingress[0].to: is not known here (known are from, ports)"});
  CHECK(wrong("podSelector: {}\ningress:\n- from:\n  - podselector: {}") ==
        Texts{"8: spec.ingress[0].from[0].podselector: is not known here (did you mean podSelector?)"});
  CHECK(wrong("podSelector: {matchlabels: {}}") ==
        Texts{"5: spec.podSelector.matchlabels: is not known here (did you mean matchLabels?)"});
  CHECK(wrong("podSelector: {}\ningress:\n- ports:\n  - {port: 1, endport: 2}") ==
        Texts{"8: spec.ingress[0].ports[0].endport: is not known here (did you mean endPort?)"});
  CHECK(wrong("podSelector: {}\ningress:\n- from:\n  - ipBlock: {cidr: 10.0.0.0/8, excpet: []}") ==
        Texts{"8: spec.ingress[0].from[0].ipBlock.excpet: is not known here (did you mean except?)"});
  // A later API's peer: refused, never taken for any peer.
  CHECK(wrong("podSelector: {}\ningress:\n- from:\n  - serviceAccountSelector: {}").size() == 1);
  CHECK(faults_of("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a}\nspce: {}\n") ==
        Texts{"4: NetworkPolicy default/a: spce: is not known here (did you mean spec?)"});
}

TEST_CASE("selectors are checked") {
  CHECK(wrong("podSelector: {matchLabels: {app: true}}") ==
        Texts{"5: spec.podSelector.matchLabels.app: must be text and is true or false (put it in quotes: \"true\")"});
  CHECK(wrong("podSelector: {matchLabels: {app: 80}}") ==
        Texts{"5: spec.podSelector.matchLabels.app: must be text and is a number (put it in quotes: \"80\")"});
  CHECK(wrong("podSelector: {matchLabels: {app: [a]}}") ==
        Texts{"5: spec.podSelector.matchLabels.app: must be text and is a list"});
  CHECK(
      wrong("podSelector: {matchLabels: {-a: b}}") ==
      Texts{"5: spec.podSelector.matchLabels.-a: the label's key \"-a\" must begin and end with a letter or a digit"});
  CHECK(
      wrong("podSelector: {matchLabels: {Example.com/a: b}}") ==
      Texts{"5: spec.podSelector.matchLabels[\"Example.com/a\"]: the label's key \"Example.com/a\" must have a DNS name"
            " before the '/'"});
  CHECK(wrong("podSelector: {matchLabels: {a/: b}}") ==
        Texts{"5: spec.podSelector.matchLabels.a/: the label's key \"a/\" has an empty name"});
  CHECK(wrong("podSelector: {matchLabels: {a: 'b c'}}") ==
        Texts{"5: spec.podSelector.matchLabels.a: \"b c\" may have letters, digits, '-', '_' and '.' only"});
  CHECK(wrong(fmt::format("podSelector: {{matchLabels: {{a: {}}}}}", std::string(64, 'a'))).size() == 1);
  CHECK(wrong("podSelector: {matchLabels: {a: b, a: c}}") ==
        Texts{"5: spec.podSelector.matchLabels.a: is set a second time (keep one of the two)"});
  CHECK(wrong("podSelector: []") == Texts{"5: spec.podSelector: must be a map and is a list"});

  const auto expression = [](std::string_view text) {
    Texts out = wrong(fmt::format("podSelector:\n  matchExpressions:\n  - {}", text));
    for (std::string& fault : out) {
      constexpr std::string_view kPath = "7: spec.podSelector.matchExpressions[0]";
      if (fault.starts_with(kPath)) fault.erase(0, kPath.size());
    }
    return out;
  };
  CHECK(expression("{key: a, operator: In}") == Texts{".values: is required (In and NotIn need at least one value)"});
  CHECK(expression("{key: a, operator: NotIn, values: []}").size() == 1);
  CHECK(expression("{key: a, operator: Exists, values: [b]}") ==
        Texts{".values: must be empty: Exists and DoesNotExist take no values"});
  CHECK(expression("{key: a, operator: DoesNotExist, values: [b]}").size() == 1);
  CHECK(expression("{key: a, operator: in, values: [b]}") ==
        Texts{".operator: \"in\" is no operator (use In, NotIn, Exists or DoesNotExist)"});
  CHECK(expression("{operator: Exists}") == Texts{".key: is required"});
  CHECK(expression("{key: a}") == Texts{".operator: is required (use In, NotIn, Exists or DoesNotExist)"});
  CHECK(expression("{key: a, operator: In, values: [no]}") ==
        Texts{".values[0]: must be text and is true or false (put it in quotes: \"no\")"});
  CHECK(expression("{key: a, operator: In, values: [~]}") ==
        Texts{".values[0]: is empty (write \"\" for the empty value)"});
  CHECK(expression("{key: 'a b', operator: Exists}").size() == 1);
  CHECK(expression("").size() == 1);  // a lone dash
}

TEST_CASE("ports are checked") {
  const auto port = [](std::string_view text) {
    Texts out = wrong(fmt::format("podSelector: {{}}\ningress:\n- ports:\n  - {}", text));
    for (std::string& fault : out) {
      constexpr std::string_view kPath = "8: spec.ingress[0].ports[0]";
      if (fault.starts_with(kPath)) fault.erase(0, kPath.size());
    }
    return out;
  };
  CHECK(port("{port: 0}") == Texts{".port: must be from 1 to 65535"});
  CHECK(port("{port: 65536}") == Texts{".port: must be from 1 to 65535"});
  CHECK(port("{port: -1}") == Texts{".port: must be from 1 to 65535"});
  CHECK(port("{port: 99999999999999999999}").size() == 1);
  CHECK(port("{port: 80.5}") == Texts{".port: must be a whole number from 1 to 65535"});
  CHECK(port("{port: true}") == Texts{".port: must be a number and is true or false"});
  CHECK(port("{port: '80'}") == Texts{".port: must be a number or a name with a letter (take the quotes away)"});
  CHECK(port("{port: 80, endPort: 79}") == Texts{".endPort: must not be below the port 80"});
  CHECK(port("{port: 80, endPort: 65536}") == Texts{".endPort: must be from 1 to 65535"});
  CHECK(port("{port: 80, endPort: http}") == Texts{".endPort: must be a number and is text"});
  CHECK(port("{port: http, endPort: 90}") == Texts{".endPort: must not be set beside a named port"});
  CHECK(port("{endPort: 90}") == Texts{".endPort: must not be set without a port"});
  CHECK(port("{port: HTTP}") ==
        Texts{".port: the port's name \"HTTP\" may have lower-case letters, digits and '-' only"});
  CHECK(port("{port: a--b}") == Texts{".port: the port's name \"a--b\" must not have '--'"});
  CHECK(port("{port: -b}") == Texts{".port: the port's name \"-b\" must not begin or end with '-'"});
  CHECK(port("{port: a234567890123456}") ==
        Texts{".port: the port's name \"a234567890123456\" has more than 15 characters"});
  CHECK(port("{port: ''}") == Texts{".port: the port's name \"\" is empty"});
  CHECK(port("{protocol: tcp}") ==
        Texts{".protocol: \"tcp\" is no protocol that can be named here (use TCP, UDP or SCTP)"});
  CHECK(port("{protocol: ICMP}").size() == 1);
  CHECK(port("{protocol: ''}").size() == 1);
  CHECK(port("80") == Texts{": must be a map and is a number"});
  CHECK(port("") == Texts{": is empty (write the item, or take its '-' away)"});
  CHECK(good("podSelector: {}\ningress:\n- ports:\n  - {port: 0x50, endPort: 80}").ingress[0].ports[0].first == 80);
  CHECK(good("podSelector: {}\ningress:\n- ports:\n  - {port: 65535, endPort: 65535}").ingress[0].ports[0].last ==
        65535);
}

TEST_CASE("peers and blocks are checked") {
  const auto peer = [](std::string_view text) {
    Texts out = wrong(fmt::format("podSelector: {{}}\negress:\n- to:\n  - {}", text));
    for (std::string& fault : out) {
      constexpr std::string_view kPath = "8: spec.egress[0].to[0]";
      if (fault.starts_with(kPath)) fault.erase(0, kPath.size());
    }
    return out;
  };
  CHECK(peer("{}") == Texts{": must say which peer (write podSelector, namespaceSelector or ipBlock)"});
  CHECK(peer("{podSelector: ~}").size() == 1);
  CHECK(peer("{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}") ==
        Texts{": must not have both ipBlock and a selector (make them two peers)"});
  CHECK(peer("{ipBlock: {}}") == Texts{".ipBlock.cidr: is required"});
  CHECK(peer("{ipBlock: {cidr: 10.0.0.1}}") ==
        Texts{".ipBlock.cidr: \"10.0.0.1\" is no CIDR (write 10.0.0.1/32 for the one address)"});
  CHECK(peer("{ipBlock: {cidr: 'fd00::1'}}") ==
        Texts{".ipBlock.cidr: \"fd00::1\" is no CIDR (write fd00::1/128 for the one address)"});
  for (const char* cidr : {"10.0.0.0/33", "fd00::/129", "10.0.0/8", "10.0.0.0/", "/8", "10.0.0.0/-1", "10.0.0.0/8 ",
                           "example.com", "", "::ffff:10.0.0.0/104", "fe80::1%eth0/64", "10.0.0.0/+8"}) {
    CAPTURE(cidr);
    CHECK(peer(fmt::format("{{ipBlock: {{cidr: '{}'}}}}", cidr)).size() == 1);
  }
  CHECK(peer("{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/8]}}") ==
        Texts{".ipBlock.except[0]: 10.0.0.0/8 is not a part of 10.0.0.0/8 (an exception must lie inside the cidr and be"
              " narrower)"});
  CHECK(peer("{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/16]}}").size() == 1);
  CHECK(peer("{ipBlock: {cidr: 10.0.0.0/8, except: [10.0.0.0/7]}}").size() == 1);
  CHECK(peer("{ipBlock: {cidr: '::/0', except: [10.0.0.0/8]}}").size() == 1);
  CHECK(peer("{ipBlock: {cidr: 10.0.0.0/8, except: 10.1.0.0/16}}") ==
        Texts{".ipBlock.except: must be a list and is text"});
  CHECK(wrong("podSelector: {}\ningress: {}") == Texts{"6: spec.ingress: must be a list and is a map"});
  CHECK(wrong("podSelector: {}\ningress:\n-") ==
        Texts{"7: spec.ingress[0]: is empty (write the item, or take its '-' away)"});
}

TEST_CASE("host bits and leading zeros of an ipBlock are read as the API server reads them, with a remark") {
  const Parsed parsed =
      parse(policy_of("podSelector: {}\ningress:\n- from:\n  - ipBlock: {cidr: 10.1.2.3/8, except: [010.001.0.9/16]}"),
            kFile);
  REQUIRE(parsed.objects.size() == 1);
  CHECK(std::get<NetworkPolicy>(parsed.objects[0]).ingress[0].peers[0].blocks ==
        std::vector<Block>{{prefix("10.0.0.0/8"), {prefix("10.1.0.0/16")}}});
  CHECK(texts(parsed.faults) ==
        Texts{"note 8: NetworkPolicy shop/web: spec.ingress[0].from[0].ipBlock.cidr: 10.1.2.3/8 has bits behind its"
              " length and means 10.0.0.0/8 (write 10.0.0.0/8)",
              "note 8: NetworkPolicy shop/web: spec.ingress[0].from[0].ipBlock.except[0]: leading zeros are read as"
              " decimals: 10.1.0.9/16 (write it without them)"});
}

TEST_CASE("policy types are checked") {
  CHECK(wrong("podSelector: {}\npolicyTypes: [ingress]") ==
        Texts{"6: spec.policyTypes[0]: \"ingress\" is no policy type (use Ingress or Egress)"});
  CHECK(wrong("podSelector: {}\npolicyTypes: [Ingress, Egress, Ingress]") ==
        Texts{"6: spec.policyTypes: has 3 items; 2 is the limit"});
  CHECK(wrong("podSelector: {}\npolicyTypes: Ingress") == Texts{"6: spec.policyTypes: must be a list and is text"});
}

TEST_CASE("names are checked") {
  const auto named = [](std::string_view metadata) {
    return faults_of(
        fmt::format("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {}\n"
                    "spec: {{podSelector: {{}}}}\n",
                    metadata));
  };
  CHECK(named("{name: a.b-1}").empty());
  CHECK(named("{}") == Texts{"3: NetworkPolicy: metadata.name: is required"});
  CHECK(named("{generateName: a-}") ==
        Texts{"3: NetworkPolicy: metadata.name: is required (only the API server makes names of generateName)"});
  CHECK(
      named("{name: A}") ==
      Texts{"3: NetworkPolicy default/A: metadata.name: \"A\" may have lower-case letters, digits, '-' and '.' only"});
  for (const char* name : {"a..b", "-a", "a-", ".a", "a.", "a.-b", "a/b", "ä"}) {
    CAPTURE(name);
    CHECK(named(fmt::format("{{name: {}}}", name)).size() == 1);
  }
  CHECK(named(fmt::format("{{name: {}}}", std::string(254, 'a'))).size() == 1);
  CHECK(named("{name: a, namespace: b.c}") ==
        Texts{"3: NetworkPolicy b.c/a: metadata.namespace: \"b.c\" may have lower-case letters, digits and '-' only"});
  CHECK(named(fmt::format("{{name: a, namespace: {}}}", std::string(64, 'a'))).size() == 1);
  CHECK(named("{name: 5}") == Texts{"3: NetworkPolicy default/5: metadata.name: must be text and is a number (put it in"
                                    " quotes: \"5\")"});
  CHECK(named("x") == Texts{"3: NetworkPolicy: metadata: must be a map and is text"});
}

TEST_CASE("every fault of an object is told at once, and it is applied whole or not at all") {
  const Parsed parsed = parse(policy_of("podSelector: {matchLabels: {a: 1}}\ningress:\n- ports:\n  - {port: 0}\n"
                                        "  - {protocol: X}\n- from:\n  - {}"),
                              kFile);
  CHECK(parsed.objects.empty());
  CHECK(parsed.faults.size() == 4);
}

TEST_CASE("live connections are kept only when the annotation says so") {
  const auto annotated = [](std::string_view value) {
    return parse(fmt::format("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: a\n"
                             "  annotations: {{omnitide.io/established: {}}}\nspec: {{}}\n",
                             value),
                 kFile);
  };
  CHECK(std::get<NetworkPolicy>(annotated("keep").objects.at(0)).keep_established);
  CHECK_FALSE(std::get<NetworkPolicy>(annotated("Keep").objects.at(0)).keep_established);
  CHECK(
      texts(annotated("Keep").faults) ==
      Texts{"note 5: NetworkPolicy default/a: metadata.annotations[\"omnitide.io/established\"]: \"Keep\" means nothing"
            " here; live connections are judged again (the one value is keep)"});
}
