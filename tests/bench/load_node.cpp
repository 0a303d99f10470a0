#include "tests/bench/load_node.hpp"

#include <fmt/format.h>

#include "omnitide/node/v1/facts.pb.h"
#include "omnitide/node/v1/registration.pb.h"

namespace omnitide::bench {

namespace v1 = node::v1;

namespace {

std::string http_request(std::string_view method, std::string_view path, const Contract& contract,
                         std::string_view body) {
  return fmt::format(
      "{} {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-protobuf\r\nAccept: application/x-protobuf\r\n"
      "Content-Length: {}\r\n\r\n{}",
      method, path, contract.host, body.size(), body);
}

}  // namespace

std::string typical_facts() {
  v1::NodeFacts facts;
  v1::CpuFacts* cpu = facts.mutable_cpu();
  cpu->set_vendor("GenuineIntel");
  cpu->set_model("Intel(R) Xeon(R) Silver 4310 CPU @ 2.10GHz");
  cpu->set_architecture("x86_64");
  cpu->set_microarch_level("x86-64-v4");
  for (unsigned i = 0; i < 120; ++i)
    cpu->add_flags(fmt::format("flag_{}", i * 7919));
  for (unsigned i = 0; i < 16; ++i) {
    v1::CpuVulnerability* entry = cpu->add_vulnerabilities();
    entry->set_name(fmt::format("vulnerability_{}", i));
    entry->set_mitigation("Mitigation: Enhanced IBRS; IBPB: conditional; RSB filling");
  }
  for (unsigned i = 0; i < 6; ++i) {
    v1::BlockDevice* disk = facts.mutable_storage()->add_devices();
    disk->set_name(fmt::format("nvme{}n1", i));
    disk->set_model("SAMSUNG MZQL21T9HCJR-00A07");
    disk->set_serial(fmt::format("S64GNE0R{:06}", i));
    disk->set_wwn("eui.36344730526006530025384500000001");
    disk->set_size_bytes(1'920'383'410'176);
  }
  for (unsigned i = 0; i < 4; ++i) {
    v1::NetworkInterface* nic = facts.add_network();
    nic->set_name(fmt::format("ens{}f0", i));
    nic->set_mac(fmt::format("02:00:00:00:00:{:02x}", i));
    nic->set_driver("ice");
  }
  return facts.SerializeAsString();
}

Result<> Node::make(std::uint32_t number) {
  Result<io::PrivateKey> key = io::PrivateKey::generate();
  if (key.has_error()) return std::move(key).error();
  key_ = std::move(*key);
  node_id_ = io::node_id_of(key_.public_key_info());
  hostname_ = fmt::format("load-{:05}", number);
  boot_id_ = fmt::format("5f0c7d1e-0000-4000-8000-{:012x}", number);
  start_id_ = fmt::format("start-{:x}", number);
  return {};
}

Node::Step Node::next_step() const {
  if (!joined()) return nonce_.empty() ? Step::nonce : Step::join;
  return send_facts_ || acknowledged_ < generation_ ? Step::put : Step::heartbeat;
}

void Node::change() {
  ++generation_;
  heartbeat_ = {};
}

// A serialised message behind another one is merged into it: protobuf's encoding guide, "Last One Wins".
std::string Node::facts(const Contract& contract) const {
  v1::NodeFacts own;
  own.mutable_system()->set_hostname(hostname_);
  own.mutable_system()->set_kernel_version(fmt::format("revision {}", generation_));
  return contract.facts + own.SerializeAsString();
}

std::string Node::facts_sha256(const Contract& contract) const { return io::sha256(facts(contract)); }

Result<std::string> Node::join_body(const Contract& contract) const {
  const Result<std::string> csr = io::make_csr(key_, node_id_);
  if (csr.has_error()) return csr.error();
  std::string text = "omnitide.node.v1 join";
  text.push_back('\0');
  const Result<std::string> signature = key_.sign(text + nonce_ + io::sha256(*csr));
  if (signature.has_error()) return signature.error();
  v1::JoinRequest request;
  request.set_token(contract.token_credential);
  request.set_nonce(nonce_);
  request.set_csr_der(*csr);
  request.set_signature(*signature);
  request.set_boot_id(boot_id_);
  request.set_start_id(start_id_);
  request.set_hostname(hostname_);
  (*request.mutable_labels())["example.com/site"] = "load";
  return request.SerializeAsString();
}

std::string Node::put_body(const Contract& contract) const {
  v1::PutNodeRequest request;
  request.set_boot_id(boot_id_);
  request.set_start_id(start_id_);
  request.set_generation(generation_);
  request.set_facts(facts(contract));
  request.set_facts_sha256(io::sha256(request.facts()));
  request.set_agent_version("0.1.0");
  request.set_hostname(hostname_);
  (*request.mutable_labels())["example.com/site"] = "load";
  return request.SerializeAsString();
}

std::string Node::heartbeat_body(const Contract& contract) const {
  v1::HeartbeatRequest request;
  request.set_boot_id(boot_id_);
  request.set_start_id(start_id_);
  request.set_generation(generation_);
  request.set_facts_sha256(facts_sha256(contract));
  return request.SerializeAsString();
}

Result<std::string_view> Node::request(const Contract& contract) {
  if (step == Step::heartbeat) {
    if (heartbeat_.empty()) {
      heartbeat_ =
          http_request("POST", fmt::format("/v1/nodes/{}/heartbeat", node_id_), contract, heartbeat_body(contract));
    }
    return std::string_view(heartbeat_);
  }
  if (step == Step::nonce) request_ = http_request("POST", "/v1/nonce", contract, {});
  if (step == Step::join) {
    const Result<std::string> body = join_body(contract);
    if (body.has_error()) return body.error();
    request_ = http_request("POST", "/v1/join", contract, *body);
  }
  if (step == Step::put)
    request_ = http_request("PUT", fmt::format("/v1/nodes/{}", node_id_), contract, put_body(contract));
  return std::string_view(request_);
}

Node::Outcome Node::judge_problem(const Answer& answer, std::string& cause) {
  cause = fmt::format("answer {}", answer.status);
  if (step == Step::join) nonce_.clear();
  if (answer.status == 429 || answer.status == 503) return Outcome::retry;
  if (answer.status == 409 && answer.known_generation && *answer.known_generation >= generation_) {
    generation_ = *answer.known_generation;
    change();
    return Outcome::retry;
  }
  cause += fmt::format(": {}", answer.body.substr(0, 200));
  return Outcome::unexpected;
}

Node::Outcome Node::judge_ack(const Answer& answer, std::string& cause) {
  v1::NodeAck ack;
  if (!ack.ParseFromArray(answer.body.data(), static_cast<int>(answer.body.size()))) {
    cause = "the acknowledgement is not of the contract";
    return Outcome::unexpected;
  }
  if (ack.generation() < acknowledged_) {
    cause = fmt::format("generation {} was acknowledged, now the registry has {}", acknowledged_, ack.generation());
    return Outcome::lost;
  }
  if (ack.generation() > generation_) {
    cause = fmt::format("the registry acknowledged generation {} of {}", ack.generation(), generation_);
    return Outcome::unexpected;
  }
  acknowledged_ = ack.generation();
  interval_seconds_ = ack.heartbeat_interval_seconds();
  // What was acknowledged by a PUT is there: a registry that asks for it again has lost it.
  if (step == Step::heartbeat && ack.send_facts() && acknowledged_ == generation_) {
    cause = fmt::format("the facts of generation {} were acknowledged and are gone", acknowledged_);
    return Outcome::lost;
  }
  send_facts_ = ack.send_facts();
  return Outcome::registered;
}

Node::Outcome Node::judge(const Answer& answer, std::string& cause) {
  if (step != Step::heartbeat) request_ = {};
  if (answer.status != 200) return judge_problem(answer, cause);
  if (step == Step::put || step == Step::heartbeat) return judge_ack(answer, cause);
  if (step == Step::nonce) {
    v1::NonceResponse said;
    if (said.ParseFromArray(answer.body.data(), static_cast<int>(answer.body.size()))) nonce_ = said.nonce();
    if (!nonce_.empty()) return Outcome::go_on;
    cause = "the nonce is not of the contract";
    return Outcome::unexpected;
  }
  v1::JoinResponse said;
  const bool read = said.ParseFromArray(answer.body.data(), static_cast<int>(answer.body.size()));
  nonce_ = {};
  if (read && said.node_id() == node_id_) certificate_ = read_certificate(said.certificate_der());
  if (joined()) return Outcome::reconnect;
  cause = "the join brought no certificate";
  return Outcome::unexpected;
}

}  // namespace omnitide::bench
