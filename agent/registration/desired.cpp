#include "agent/registration/desired.hpp"

#include <fmt/format.h>

#include "agent/base/file.hpp"
#include "agent/base/text.hpp"
#include "agent/io/crypto.hpp"
#include "omnitide/node/v1/registration.pb.h"

namespace omnitide::registration {

namespace {

constexpr std::string_view kHead = "omnitide desired state 1 ";
constexpr std::size_t kMostFile = kMostDesired + (1U << 20U);
constexpr mode_t kOwnerOnly = 0600;

Error damaged(const std::string& path) { return fail(Code::data_loss, fmt::format("{} is damaged", path)); }

}  // namespace

std::string content_sha256(const std::vector<DesiredDocument>& documents) {
  std::string digests;
  for (const DesiredDocument& document : documents)
    digests += io::sha256(document.name) + io::sha256(document.text);
  return io::sha256(digests);
}

Result<DesiredState> DesiredFile::load() const {
  const Result<std::string> read = read_file(path_, kMostFile);
  if (read.has_error()) {
    return read.error().code == Code::resource_exhausted ? damaged(path_) : read.error();
  }
  std::string_view text = *read;
  const std::size_t end = text.find('\n');
  if (!text.starts_with(kHead) || end == std::string_view::npos) return damaged(path_);
  const std::string_view said = text.substr(kHead.size(), end - kHead.size());
  text.remove_prefix(end + 1);
  node::v1::DesiredState stored;
  if (said != hex_encode(io::sha256(text)) || !stored.ParseFromArray(text.data(), static_cast<int>(text.size())))
    return damaged(path_);
  DesiredState out;
  out.version = stored.version();
  out.sha256 = stored.sha256();
  for (node::v1::DesiredDocument& document : *stored.mutable_documents())
    out.documents.push_back({std::move(*document.mutable_name()), std::move(*document.mutable_text())});
  if (content_sha256(out.documents) != out.sha256) return damaged(path_);
  return out;
}

Result<> DesiredFile::store(const DesiredState& state) const {
  node::v1::DesiredState stored;
  stored.set_version(state.version);
  stored.set_sha256(state.sha256);
  for (const DesiredDocument& document : state.documents) {
    node::v1::DesiredDocument& row = *stored.add_documents();
    row.set_name(document.name);
    row.set_text(document.text);
  }
  const std::string bytes = stored.SerializeAsString();
  return write_file_durably(path_, fmt::format("{}{}\n{}", kHead, hex_encode(io::sha256(bytes)), bytes), kOwnerOnly);
}

}  // namespace omnitide::registration
