package replica

import (
	"testing"
	"testing/synctest"
)

func TestFollowersCopyWhatTheLeaderAppends(t *testing.T) {
	inFleet(t, 3, testConfig(), func(t *testing.T, f *fleet) {
		tp := f.create("orders", 1, 2, 3)
		check(t, f.commit(tp, 5))
		f.write(tp, 3)
		synctest.Wait()
		f.wantSame(tp)
		f.wantState(1, tp, "start 0 hw 8 leo 8 epochs 0@0")
		f.wantState(2, tp, "start 0 hw 5 leo 8 epochs 0@0")
	})
}
