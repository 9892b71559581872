package verbs

import "slices"

// appendScores appends an extenderv1.HostPriorityList with the score of each
// node, from 0 to MaxExtenderPriority.
func (v *Verbs) appendScores(s *scratch, a *args) []byte {
	q := v.query(a.Pod, v.Inventory.Now())
	if !q.Skip {
		q.Preference = a.Pod.preference()
	}
	nodes := v.Inventory.Lookup(a.NodeNames)
	s.scores = slices.Grow(s.scores[:0], len(nodes))[:len(nodes)]
	q.ScoreAll(nodes, s.scores)
	b := append(s.out, '[')
	for i, score := range s.scores {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendHostPriority(b, a.NodeNames[i], score)
	}
	return append(b, ']')
}
