// What libmosquitto calls: it is noted only, since the library may not be called from here.
#include <mqtt_protocol.h>

#include <algorithm>

#include "agent/io/mqtt_impl.hpp"

namespace omnitide::io {

using std::chrono::steady_clock;

void MqttConnection::Impl::on_connect(mosquitto*, void* self, int reason, int /*flags*/,
                                      const mosquitto_property* properties) {
  auto* impl = static_cast<Impl*>(self);
  impl->connack_ = reason;
  impl->progress_ = true;
  impl->window_ = impl->options_.max_in_flight;
  std::uint16_t value = 0;
  if (mosquitto_property_read_int16(properties, MQTT_PROP_RECEIVE_MAXIMUM, &value, false) != nullptr && value > 0)
    impl->window_ = std::min<std::size_t>(impl->window_, value);
  if (mosquitto_property_read_int16(properties, MQTT_PROP_SERVER_KEEP_ALIVE, &value, false) != nullptr)
    impl->keep_alive_ = value;
}

void MqttConnection::Impl::on_disconnect(mosquitto*, void* self, int reason, const mosquitto_property*) {
  static_cast<Impl*>(self)->left_ = reason;
}

void MqttConnection::Impl::on_publish(mosquitto*, void* self, int id, int reason, const mosquitto_property*) {
  auto* impl = static_cast<Impl*>(self);
  impl->progress_ = true;
  impl->answered(id, static_cast<std::uint8_t>(reason));  // of QoS 0 no number waits
}

void MqttConnection::Impl::on_subscribe(mosquitto*, void* self, int id, int count, const int* granted,
                                        const mosquitto_property*) {
  auto* impl = static_cast<Impl*>(self);
  impl->progress_ = true;
  if (id == impl->subscribe_id_) {
    impl->suback_.emplace(granted, granted + count);
  } else {
    impl->answered(id, 0);
  }
}

void MqttConnection::Impl::answered(int id, std::uint8_t reason) {
  const auto found = std::find_if(pending_.begin(), pending_.end(), [id](const Pending& one) { return one.id == id; });
  if (found == pending_.end()) return;
  answers_.push_back({.number = found->number, .reason = reason});
  if (found != pending_.begin()) pending_.front().passed = true;
  pending_.erase(found);
  last_answer_ = steady_clock::now();
}

void MqttConnection::Impl::on_message(mosquitto*, void* self, const mosquitto_message* message,
                                      const mosquitto_property*) {
  auto* impl = static_cast<Impl*>(self);
  impl->progress_ = true;
  const auto size = static_cast<std::size_t>(std::max(message->payloadlen, 0));
  impl->message_bytes_ += size;
  if (impl->message_bytes_ > impl->options_.max_message) return;
  MqttMessage out;
  out.topic = message->topic;
  if (size > 0) out.payload.assign(static_cast<const char*>(message->payload), size);
  out.qos = static_cast<std::uint8_t>(message->qos);
  out.retain = message->retain;
  impl->messages_.push_back(std::move(out));
}

void MqttConnection::Impl::on_log(mosquitto*, void* self, int level, const char* line) {
  if (level == MOSQ_LOG_ERR) static_cast<Impl*>(self)->log_ = line;
}

}  // namespace omnitide::io
