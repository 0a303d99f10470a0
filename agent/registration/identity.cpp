#include "agent/registration/identity.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/file.hpp"
#include "agent/codec/json.hpp"
#include "omnitide/agent/v1/state.pb.h"

namespace omnitide::registration {

namespace {

constexpr mode_t kSecret = 0600, kFolder = 0700;
constexpr std::size_t kMaxFile = 256U << 10U;

Result<io::PrivateKey> open_key(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && (info.st_mode & 0077U) != 0) {
    return fail(Code::permission_denied, fmt::format("{} can be read by others than its owner", path))
        .with_hint("if nobody has read it: chmod 600 " + path);
  }
  Result<std::string> pem = read_file(path, kMaxFile);
  if (pem.has_error()) return std::move(pem).error();
  Result<io::PrivateKey> key = io::PrivateKey::from_pem(*pem);
  if (key.has_error()) {
    return std::move(key).error().within(path).with_hint(
        "restore the file from a backup; or move it away, and the node joins anew as another node");
  }
  return key;
}

Result<io::PrivateKey> make_key(const std::string& path) {
  Result<io::PrivateKey> key = io::PrivateKey::generate();
  if (key.has_error()) return key;
  const Result<> wrote = write_file_durably(path, key->to_pem(), kSecret);
  if (wrote.has_error()) return wrote.error();
  return key;
}

}  // namespace

Result<Identity> Identity::open(const std::string& state_dir) {
  Identity out;
  out.dir_ = state_dir + "/identity";
  if (Result<> made = make_folders(out.dir_, kFolder); made.has_error()) return std::move(made).error();
  const std::string path = out.dir_ + "/node.key";
  Result<io::PrivateKey> key = ::access(path.c_str(), F_OK) == 0 ? open_key(path) : make_key(path);
  if (key.has_error()) return std::move(key).error();
  out.key_ = *key;
  out.node_id_ = io::node_id_of(out.key_.public_key_info());
  out.load_credentials();
  return out;
}

void Identity::load_credentials() {
  const std::string path = dir_ + "/node.crt";
  const Result<std::string> pem = read_file(path, kMaxFile);
  if (pem.has_error()) {
    if (pem.error().code != Code::not_found) complaints_.push_back(pem.error().message);
    return;
  }
  Result<std::vector<std::string>> chain = io::certificates_from_pem(*pem);
  if (chain.has_error() || chain->size() < 2) {
    complaints_.push_back(path + " is damaged, joining anew with the same key");
    return;
  }
  const Result<io::CertificateInfo> info = io::parse_certificate(chain->front());
  if (info.has_error() || info->public_key_info != key_.public_key_info()) {
    complaints_.push_back(path + " does not belong to node.key, joining anew");
    return;
  }
  Credentials found;
  found.certificate = chain->front();
  found.cas.assign(chain->begin() + 1, chain->end());
  found.validity = {info->not_before, info->not_after};
  credentials_ = std::move(found);
}

Result<> Identity::store_credentials(const std::string& certificate_der, std::vector<std::string> cas) {
  const Result<io::CertificateInfo> info = io::parse_certificate(certificate_der);
  if (info.has_error()) return info.error();
  if (info->public_key_info != key_.public_key_info() || cas.empty()) {
    return fail(Code::failed_precondition, "the registry sent a certificate for another key, ignoring it");
  }
  // One file, so that a certificate never stands beside the CAs of another moment.
  std::string pem = io::to_pem(certificate_der);
  for (const std::string& ca : cas)
    pem += io::to_pem(ca);
  Result<> wrote = write_file_durably(dir_ + "/node.crt", pem, kSecret);
  // Even when the disk is full the new certificate serves until the agent ends.
  credentials_ = Credentials{certificate_der, std::move(cas), {info->not_before, info->not_after}};
  return wrote;
}

Saved Identity::load_state() {
  Saved out;
  const std::string path = dir_ + "/registration.json";
  const Result<std::string> text = read_file(path, kMaxFile);
  if (text.has_error()) {
    if (text.error().code != Code::not_found) complaints_.push_back(text.error().message);
    return out;
  }
  agent::v1::RegistrationState in;
  if (codec::from_json(*text, in).has_error()) {
    complaints_.push_back(path + " is damaged, asking the registry for the state");
    return out;
  }
  out.generation = in.generation();
  out.acknowledged_generation = in.acknowledged_generation();
  out.facts_sha256 = in.facts_sha256();
  out.conditions_sha256 = in.conditions_sha256();
  out.server_time = WallTime{std::chrono::seconds{in.server_time().seconds()}};
  out.labels = {in.labels().begin(), in.labels().end()};
  out.labels_version = in.labels_version();
  out.desired_version = in.desired_version();
  out.heartbeat_interval_seconds = in.heartbeat_interval_seconds();
  out.node_state = in.node_state();
  out.node_state_reason = in.node_state_reason();
  return out;
}

Result<> Identity::store_state(const Saved& saved) {
  agent::v1::RegistrationState out;
  out.set_generation(saved.generation);
  out.set_acknowledged_generation(saved.acknowledged_generation);
  out.set_facts_sha256(saved.facts_sha256);
  out.set_conditions_sha256(saved.conditions_sha256);
  out.mutable_server_time()->set_seconds(
      std::chrono::floor<std::chrono::seconds>(saved.server_time).time_since_epoch().count());
  out.mutable_labels()->insert(saved.labels.begin(), saved.labels.end());
  out.set_labels_version(saved.labels_version);
  out.set_desired_version(saved.desired_version);
  out.set_heartbeat_interval_seconds(saved.heartbeat_interval_seconds);
  out.set_node_state(saved.node_state);
  out.set_node_state_reason(saved.node_state_reason);
  return write_file_durably(dir_ + "/registration.json", codec::to_json(out, codec::JsonForm::pretty), kSecret);
}

}  // namespace omnitide::registration
