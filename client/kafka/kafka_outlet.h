// Makes the outlet of a sub-cluster, without librdkafka in the header.
#pragma once

#include <memory>

#include "client/options.h"
#include "client/outlet.h"

namespace kafed::client {

absl::StatusOr<std::shared_ptr<Outlet>> MakeKafkaOutlet(
    const v1::SubClusterRow& sub_cluster, const ProducerOptions& options,
    milliseconds message_timeout, OutletSink sink);

}  // namespace kafed::client
