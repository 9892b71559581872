package placement

import "heteroaccel.io/pkg/inventory"

// The scores of a pod that prefers some of the nodes. kube-scheduler adds up to 200
// points for the node that is preferred most, its NodeAffinity plugin's, and 50 for
// each of ours with the weight of 5; NodeResourcesFit and
// NodeResourcesBalancedAllocation together make a difference of at most 100
// between nodes.
//
//   - A fresh node that is preferred must win against a fresh one that is not,
//     whatever their loads: the least difference is 200 + 50·(8 − 9) = 150.
//   - A fresh node must win against a stale one that is preferred: the least
//     difference is 50·(7 − 1) − 200 = 100.
const (
	freshPreferringScore = 7
	// preferredPoints is for the node that is preferred most, restPoints for what
	// else speaks for a node.
	preferredPoints, restPoints = 1, 2
)

// ScoreAll ranks all nodes for the pod, as Score does, into scores, which is as
// long as nodes. Where it prefers some of them more than others:
//
//	unknown node            0, and every node for a pod to skip
//	stale, or uncertain     1
//	fresh                   7 + round(preferred + 2·rest)          7 … 10
//
// where
//
//	preferred  the weight of the node, by the pod's node affinity, as a fraction
//	           of the weight of the node that is preferred most, 0 to 1
//	rest       what Score has above 4, as a fraction of 6
func (q *Query) ScoreAll(nodes []*inventory.Node, scores []int64) {
	most := q.weigh(nodes, scores)
	for i, n := range nodes {
		if most == 0 {
			scores[i] = q.Score(n)
		} else {
			scores[i] = q.scorePreferring(n, float64(scores[i])/float64(most))
		}
	}
}

// weigh puts the weights of nodes into weights and returns the highest, 0 if the
// pod prefers none of them more than another: then what weights hold is nothing.
func (q *Query) weigh(nodes []*inventory.Node, weights []int64) (most int64) {
	weigh := q.Preference.Weigh()
	if weigh == nil || q.Skip {
		return 0
	}
	differ := false
	for i, n := range nodes {
		weights[i] = weigh(n)
		most = max(most, weights[i])
		differ = differ || weights[i] != weights[0]
	}
	if !differ {
		return 0
	}
	return most
}

// scorePreferring scores one node of several that the pod prefers unlike.
func (q *Query) scorePreferring(n *inventory.Node, preferred float64) int64 {
	if n == nil {
		return unknownScore
	}
	base, above, spare := q.points(n)
	if base == staleScore {
		return staleScore
	}
	rest := (above + float64(spare)) / float64(maxScore-freshScore)
	return min(maxScore, freshPreferringScore+round(preferredPoints*preferred+restPoints*rest))
}
