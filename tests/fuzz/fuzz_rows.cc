// Rows of the image: bytes that decode are the encoding of what they decode to.
#include "client/agent_state.h"
#include "federation/image/rows.h"
#include "tests/fuzz/support.h"

namespace kafed::federation {
namespace {

template <typename Row>
void TryOne(std::string_view bytes) {
  Row row;
  if (!TryDecodeRow(bytes, &row)) return;
  FUZZ_CHECK(EncodeRow(row) == bytes, typeid(Row).name());
}

template <typename... Rows>
void TryNth(size_t n, std::string_view bytes) {
  size_t at = 0;
  ((at++ == n % sizeof...(Rows) ? TryOne<Rows>(bytes) : void()), ...);
}

}  // namespace
}  // namespace kafed::federation

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kafed::federation;  // NOLINT: the rows, 26 of them
  if (size == 0) return 0;
  TryNth<SubCluster, Topic, TopicCounters, KafkaTopic, Slots, Partition,
         PartitionKeys, Binding, Share, HashBucket, Host, Vpc, VpcMember,
         VpcChunk, PendingMarker, Resource, Instance, Session, SegmentTally,
         CompletedRequest, NodeRow, Operation, FormerBinding, Counters,
         kafed::client::AgentState>(data[0],
                                    kafed::fuzz::AsText(data + 1, size - 1));
  return 0;
}
