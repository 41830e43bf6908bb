// Many fences, one thread.
#include "controller/session/fence_queue.h"

#include <gmock/gmock.h>

#include "absl/synchronization/notification.h"
#include "tests/unit/controller/node_bench.h"

namespace kafed::controller {
namespace {

using testing::IsEmpty;

Position At(uint64_t index) { return {1, LogIndex(index)}; }

struct Answer {
  FenceQueue::Done Taker() {
    return [this](const absl::Status& given,
                  const std::vector<uint64_t>& sessions) {
      status = given;
      waited_for = sessions;
      given_.Notify();
    };
  }
  bool given() const { return given_.HasBeenNotified(); }
  void Wait() const { given_.WaitForNotification(); }

  absl::Status status;
  std::vector<uint64_t> waited_for;

 private:
  absl::Notification given_;
};

class FenceQueueTest : public testing::Test {
 protected:
  FenceQueueTest() {
    node_.clock.Advance(milliseconds(20'000));  // past what a start assumes
  }
  NodeBench node_;
  FenceQueue fences_{node_.leases.get(), &node_.clock};
};

TEST_F(FenceQueueTest, AnswersAtOnceWhenNobodyHoldsARoute) {
  Answer answer;
  fences_.Wait(At(9), answer.Taker());
  answer.Wait();
  EXPECT_TRUE(answer.status.ok());
  EXPECT_THAT(answer.waited_for, IsEmpty());
}

TEST_F(FenceQueueTest, AnswersEachFenceWhenItsSessionsAcknowledged) {
  node_.leases->Grant(1, At(5));
  node_.leases->Grant(2, At(5));
  Answer nine;
  Answer twelve;
  fences_.Wait(At(9), nine.Taker());
  fences_.Wait(At(12), twelve.Taker());
  node_.leases->Acknowledge(1, At(12));
  EXPECT_FALSE(nine.given());
  node_.leases->Acknowledge(2, At(9));
  nine.Wait();
  EXPECT_TRUE(nine.status.ok());
  EXPECT_THAT(nine.waited_for, testing::ElementsAre(1, 2));
  EXPECT_FALSE(twelve.given());
  node_.leases->Forget(2);
  twelve.Wait();
  EXPECT_TRUE(twelve.status.ok());
}

TEST_F(FenceQueueTest, AnswersWhenTheLastLeaseIsOver) {
  node_.leases->Grant(1, At(5));
  Answer answer;
  fences_.Wait(At(9), answer.Taker());
  node_.clock.Advance(node_.leases->options().multicast_ttl);
  node_.leases->Poke();  // a fake clock wakes nobody
  answer.Wait();
  EXPECT_TRUE(answer.status.ok());
}

TEST_F(FenceQueueTest, StoppingAnswersWhatStillWaits) {
  node_.leases->Grant(3, At(5));
  Answer answer;
  fences_.Wait(At(9), answer.Taker());
  fences_.Stop();
  answer.Wait();
  EXPECT_EQ(answer.status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(answer.status.ToString(), testing::HasSubstr("stands"));
  EXPECT_THAT(answer.waited_for, testing::ElementsAre(3));
}

TEST_F(FenceQueueTest, AnswersAtOnceWhenItHasStopped) {
  fences_.Stop();
  Answer answer;
  fences_.Wait(At(9), answer.Taker());
  answer.Wait();
  EXPECT_EQ(answer.status.code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace kafed::controller
