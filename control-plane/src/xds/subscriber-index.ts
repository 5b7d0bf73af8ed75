import type { Subscription } from './subscription.ts'

/** A subscription and the stream to wake when it has something to send. */
export interface Subscriber<Stream> {
  readonly subscription: Subscription
  readonly stream: Stream
}

/** Who wants which resource: a change costs time in the number of those it concerns, not in the number of all clients. */
export class SubscriberIndex<Stream> {
  readonly #byName = new Map<string, Set<Subscriber<Stream>>>()
  readonly #wildcard = new Set<Subscriber<Stream>>()

  /** Puts a subscriber where its subscription says, after the request that added and removed these names. */
  update(subscriber: Subscriber<Stream>, added: readonly string[], removed: readonly string[]): void {
    if (subscriber.subscription.wildcard) this.#wildcard.add(subscriber)
    else this.#wildcard.delete(subscriber)
    for (const name of removed) this.#leave(name, subscriber)
    for (const name of added) {
      const subscribers = this.#byName.get(name)
      if (subscribers) subscribers.add(subscriber)
      else this.#byName.set(name, new Set([subscriber]))
    }
  }

  /** Forgets a subscriber whose stream ended. */
  delete(subscriber: Subscriber<Stream>): void {
    this.#wildcard.delete(subscriber)
    for (const name of subscriber.subscription.names) this.#leave(name, subscriber)
  }

  /** Notes a change of `name` at all it concerns and adds their streams to `woken`. */
  markDirty(name: string, woken: Set<Stream>): void {
    for (const subscriber of this.#byName.get(name) ?? []) {
      subscriber.subscription.markDirty(name)
      woken.add(subscriber.stream)
    }
    for (const subscriber of this.#wildcard) {
      subscriber.subscription.markDirty(name)
      woken.add(subscriber.stream)
    }
  }

  /** Names somebody subscribes to, whether they exist or not. */
  get size(): number {
    return this.#byName.size
  }

  #leave(name: string, subscriber: Subscriber<Stream>): void {
    const subscribers = this.#byName.get(name)
    if (subscribers?.delete(subscriber) && subscribers.size === 0) this.#byName.delete(name)
  }
}
