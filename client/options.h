// Options of the client's three classes. Plain values; defaults are meant to
// be right, so that an application names its nodes and little more.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"

namespace kafed::client {

class NodeConnection;
// Makes a connection to HOST:PORT; it need not be up yet. Null: gRPC.
using Connector =
    std::function<std::unique_ptr<NodeConnection>(const std::string&)>;

struct MirrorOptions {
  // HOST:PORT of nodes, of which one that answers names the others. May be
  // empty with a snapshot.
  std::vector<std::string> nodes;
  // Region this process runs in, whose nodes are asked first; empty: any.
  std::string region;
  // Logical topics and regions to mirror; empty: all.
  std::vector<std::string> topics;
  std::vector<std::string> regions;
  // File to start from when it exists; empty: none. See Mirror::SaveSnapshot.
  std::string snapshot_path;
  // How often a node is asked for the others, with jitter of a fifth.
  milliseconds nodes_interval{5 * 60 * 1000};
  // Pause when every node was tried; doubles, with jitter. Short beside a
  // lease, which may have to outlast several attempts.
  milliseconds backoff_min{50};
  milliseconds backoff_max{1'000};
  const Clock* clock = &RealClock();
  Connector connector;
};

struct ProducerOptions {
  MirrorOptions mirror;
  // For people: what `kafedctl session list` shows. At most 128 bytes.
  std::string name;
  // Shown there, too; also that of `mirror` where it has none.
  std::string region;
  // Create waits this long for a view and a lease.
  milliseconds start_timeout{10'000};
  // Bound of a message's life from Produce to its report; lowered to what the
  // node allows (half of the fence window).
  milliseconds message_timeout{30'000};
  // Bytes of payload, key and headers of one message at most; brokers take
  // about 1 MiB unless they are configured otherwise.
  size_t max_message_bytes = 1'000'000;
  // Bytes of payload, key and bookkeeping that may wait for delivery.
  size_t buffer_bytes = size_t{256} << 20;
  size_t sub_cluster_buffer_bytes = size_t{64} << 20;
  // Bytes that may queue for one partition while its breaker is open.
  size_t open_breaker_bytes = size_t{1} << 20;
  // Failures in a row that open a partition's breaker; twice as many, a
  // sub-cluster's. An open breaker lets a probe pass after `breaker_pause`.
  int breaker_failures = 5;
  milliseconds breaker_pause{2'000};
  // Folder of credential files, named as the sub-cluster's security ref says.
  std::string secrets_dir;
  milliseconds linger{5};
};

struct SubscriberOptions {
  // HOST:PORT of nodes to ask for subscriptions, of which one that answers
  // names the others.
  std::vector<std::string> nodes;
  // Region this process runs in, whose nodes are asked first; empty: any.
  std::string region;
  // Agent mode: id of the host.
  std::string host;
  // Group mode: a resource topic, the consumer group, and this worker's name.
  std::string resource_topic;
  std::string group;
  std::string worker;
  // Group mode: a worker that is silent for this long loses its partitions.
  milliseconds session_timeout{10'000};
  // Agent mode: folder for chains and filter state. Created if missing.
  std::string state_dir;
  std::string secrets_dir;
  // How often nodes are asked what is to be read, with jitter of a fifth.
  milliseconds refresh_interval{5 * 60 * 1000};
  // How often a node is asked for the others, with the next such question.
  milliseconds nodes_interval{5 * 60 * 1000};
  // Committed offsets are written again at least this often.
  milliseconds recommit_interval{24 * 3600 * 1000};
  milliseconds backoff_min{100};
  milliseconds backoff_max{10'000};
  // (source, key) pairs the repeat filter remembers.
  size_t filter_entries = 100'000;
  const Clock* clock = &RealClock();
  Connector connector;
};

}  // namespace kafed::client
