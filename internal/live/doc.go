// Package live wakes whoever waits for a commit: of this process at once, of
// other replicas through the database's notifications.
//
// A wake is a hint. It carries nothing, equal ones fold into one, and it may
// get lost; whoever is woken asks the store by its own cursor, and asks from
// time to time unasked (Wait). So nothing here can lose data.
//
// Concurrency. The hub's lock is held for map work and for sends that cannot
// block: every subscription has one slot, and a wake that finds it full is
// already there. Nobody closes the channel; a closed subscription just gets no
// more wakes. What the hub keeps is bounded by the open subscriptions.
package live
