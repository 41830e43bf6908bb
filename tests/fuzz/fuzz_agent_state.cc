// The file of an agent: other bytes are DataLoss, and an agent takes up
// whatever state decodes and goes on.
#include "client/agent.h"
#include "tests/fuzz/support.h"

namespace kafed::client {
namespace {

void Try(std::string_view bytes) {
  const fuzz::MemoryFile file(bytes);
  const auto state = LoadAgentState(file.path());
  if (!state.ok()) {
    FUZZ_CHECK(state.status().code() == absl::StatusCode::kDataLoss);
    return;
  }
  Agent agent("h1", 16);
  agent.Restore(*state);
  agent.Known();
  agent.NeedsNode();
  agent.Committed();
  for (const ReadPlace& place : agent.Reading()) {
    Record record;
    record.sub_cluster = place.sub_cluster;
    record.kafka_topic = place.kafka_topic;
    record.kafka_partition = place.kafka_partition;
    record.offset = place.offset;
    record.round = place.round;
    record.key = "h1";
    agent.Receive(std::move(record));
    agent.Gap(place, place.offset / 2);
    agent.Advance(place, place.offset + 5);
  }
  agent.CommitAll();
  // What it then remembers is a state again.
  const std::string path = fuzz::ScratchFolder() + "/agent";
  FUZZ_CHECK(SaveAgentState(agent.State(), path).ok());
  FUZZ_CHECK(LoadAgentState(path).ok());
}

}  // namespace
}  // namespace kafed::client

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes = kafed::fuzz::AsText(data, size);
  kafed::client::Try(bytes);
  kafed::client::Try("kafedag1" + std::string(bytes));
  return 0;
}
