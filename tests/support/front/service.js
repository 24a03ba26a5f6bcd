// @ts-check
// The rating routes as the service answers them, for one rater, in memory.

export class Service {
  #leases = new Map(); // lease -> { pair, holder, isOpen }
  #taken = new Set(); // pairs that others hold: no vote on them is saved any more
  #made = 0;
  /** Every vote that was saved, in the order of its arrival: { vote_id, holder, undoneBy, reasons }. */
  votes = [];

  /** A request by its name in server.js. */
  answer(name, body) {
    return structuredClone({ ...this[`_${name}`](body), state: this.#state() });
  }

  /** Others take the pair of some open lease. */
  takeAway(leaseId) {
    const lease = this.#leases.get(leaseId);
    if (lease) this.#taken.add(lease.pair);
  }

  _state() {
    return {};
  }

  _pairs({ holder, shown, give_back: given, wanted }) {
    for (const leaseId of given) this.#leases.get(leaseId).isOpen = false;
    const mine = [...this.#leases].filter(([, lease]) => lease.isOpen && lease.holder === holder);
    const lost = mine.map(([leaseId]) => leaseId).filter((leaseId) => !shown.includes(leaseId));
    const fresh = Math.max(0, wanted - shown.length - lost.length);
    for (let count = 0; count < fresh; count++) lost.push(this.#lease(`pair ${++this.#made}`, holder));
    return { pairs: lost.map((leaseId) => this.#onScreen(leaseId)) };
  }

  _votes(votes) {
    return { receipts: votes.map((vote) => this.#record(vote)) };
  }

  _reasons({ vote_id: voteId, reasons }) {
    const vote = this.votes.find((one) => one.vote_id === voteId);
    if (!vote || vote.undoneBy) return { receipt: { saved: false, reason: "that vote does not stand" } };
    vote.reasons = reasons;
    return { receipt: { saved: true, reason: null } };
  }

  _undo({ undo_id: undoId, holder, vote_id: voteId }) {
    const done = this.votes.find((vote) => vote.undoneBy === undoId);
    const vote = done ?? this.votes.find((one) => !one.undoneBy && one.vote_id === voteId);
    if (!vote) return { pair: null, reason: "Nothing to undo.", trained: null };
    vote.undoneBy = undoId;
    const open = [...this.#leases].find(([, lease]) => lease.isOpen && lease.pair === vote.pair);
    const leaseId = open?.[0] ?? this.#lease(vote.pair, holder);
    return { pair: this.#onScreen(leaseId), reason: null, choice: vote.choice, edit: null, trained: null };
  }

  _history(holder) {
    return { votes: this.votes.filter((vote) => !vote.undoneBy && vote.holder === holder).reverse() };
  }

  #record({ vote_id, lease_id, choice, reasons = null }) {
    const receipt = { vote_id, saved: true, reason: null };
    if (this.votes.some((vote) => vote.vote_id === vote_id)) return receipt;
    const lease = this.#leases.get(lease_id);
    const isVoted = this.votes.some((vote) => vote.pair === lease.pair && !vote.undoneBy);
    if (isVoted || this.#taken.has(lease.pair)) return { ...receipt, saved: false, reason: `${vote_id} came too late` };
    lease.isOpen = false;
    this.votes.push({ vote_id, pair: lease.pair, holder: lease.holder, choice, undoneBy: null, reasons });
    return receipt;
  }

  #lease(pair, holder) {
    const leaseId = `lease ${++this.#made}`;
    this.#leases.set(leaseId, { pair, holder, isOpen: true });
    return leaseId;
  }

  #onScreen(leaseId) {
    return { lease_id: leaseId, version: 1, line: this.#leases.get(leaseId).pair };
  }

  #state() {
    return { live: 1, ready: 8, counting: [1], votes: this.votes.filter((vote) => !vote.undoneBy).length };
  }
}
