// The messages of agent/api as the full protobuf library sees them, by their descriptions alone: a second opinion on
// the bytes that the lite code writes.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/message_lite.h>
#include <google/protobuf/util/message_differencer.h>

#include <memory>
#include <stdexcept>
#include <string>

extern "C" const char agent_api_schema_begin[], agent_api_schema_end[];

namespace omnitide::test {

using ReferenceMessage = std::unique_ptr<google::protobuf::Message>;

inline const google::protobuf::DescriptorPool& reference_pool() {
  static const auto kPool = [] {
    google::protobuf::FileDescriptorSet files;
    if (!files.ParseFromArray(agent_api_schema_begin, static_cast<int>(agent_api_schema_end - agent_api_schema_begin)))
      throw std::runtime_error("the schema of agent/api is no FileDescriptorSet");
    auto pool = std::make_unique<google::protobuf::DescriptorPool>();
    for (const auto& file : files.file())
      if (pool->BuildFile(file) == nullptr)
        throw std::runtime_error("a file of agent/api does not build: " + file.name());
    return pool;
  }();
  return *kPool;
}

// An empty one, of a name with its package.
inline ReferenceMessage reference(const std::string& name) {
  static google::protobuf::DynamicMessageFactory factory;
  const google::protobuf::Descriptor* type = reference_pool().FindMessageTypeByName(name);
  if (type == nullptr) throw std::runtime_error("no such message: " + name);
  return ReferenceMessage(factory.GetPrototype(type)->New());
}

// What the reference library makes of the message's bytes.
inline ReferenceMessage reference(const google::protobuf::MessageLite& message) {
  ReferenceMessage out = reference(message.GetTypeName());
  if (!out->ParseFromString(message.SerializeAsString())) throw std::runtime_error("bytes that are no message");
  return out;
}

inline bool equal(const ReferenceMessage& a, const ReferenceMessage& b) {
  return google::protobuf::util::MessageDifferencer::Equals(*a, *b);
}

}  // namespace omnitide::test
