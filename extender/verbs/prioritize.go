package verbs

import "slices"

// appendScores appends an extenderv1.HostPriorityList with the score of each node, from 0
// to MaxExtenderPriority, less the lowest of them; nodes with 0 are left out. Only
// differences count, as kube-scheduler adds what other plugins give, and a node that is
// not named gets nothing (prioritizeNodes of pkg/scheduler/schedule_one.go): what would
// be the same for all it need not read, where many nodes are alike.
func (v *Verbs) appendScores(s *scratch, a *args) []byte {
	q := v.query(a.Pod, v.Inventory.Now())
	if !q.Skip {
		q.Preference = a.Pod.preference()
	}
	nodes := v.Inventory.Lookup(a.NodeNames)
	s.scores = slices.Grow(s.scores[:0], len(nodes))[:len(nodes)]
	q.ScoreAll(nodes, s.scores)
	lowest := lowestOf(s.scores)
	b := append(s.out, '[')
	for i, score := range s.scores {
		if score == lowest {
			continue
		}
		if b[len(b)-1] != '[' {
			b = append(b, ',')
		}
		b = appendHostPriority(b, a.NodeNames[i], score-lowest)
	}
	return append(b, ']')
}

// lowestOf is the lowest of scores, 0 of none.
func lowestOf(scores []int64) int64 {
	if len(scores) == 0 {
		return 0
	}
	return slices.Min(scores)
}
