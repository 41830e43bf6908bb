#include "client/kafka/kafka_outlet.h"

#include <utility>

#include "client/kafka/producer_handle.h"

namespace kafed::client {

absl::StatusOr<std::shared_ptr<Outlet>> MakeKafkaOutlet(
    const v1::SubClusterRow& sub_cluster, const ProducerOptions& options,
    milliseconds message_timeout, OutletSink sink) {
  ProducerHandleOptions handle;
  handle.sub_cluster = sub_cluster;
  handle.secrets_dir = options.secrets_dir;
  handle.message_timeout = message_timeout;
  handle.linger = options.linger;
  handle.max_message_bytes = options.max_message_bytes;
  handle.buffer_bytes = 2 * options.sub_cluster_buffer_bytes;
  return ProducerHandle::Create(std::move(handle), std::move(sink));
}

}  // namespace kafed::client
