// Package installs has no code of its own: its tests install HeteroAccel on real nodes as
// the pages tell a stranger to, in each way, check it, run the README's Job, and remove it
// again while that runs. They also upgrade from the revision before, and install the bundle
// of a release where no node has the image.
package installs
