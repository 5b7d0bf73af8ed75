import { EventEmitter } from 'node:events'
import type { InboundExchange } from '../telemetry/inbound-exchange.ts'

/** What the events of a request belong to. */
export interface EventBinding {
  readonly exchange: InboundExchange
  /** Told of `close`, before its listeners are. */
  closed?(emitter: EventEmitter): void
}

const bindingKey = Symbol('inmesh.binding')

interface Bound extends EventEmitter {
  [bindingKey]?: EventBinding
}

/**
 * Makes the listeners of `emitter` run on behalf of a request.
 *
 * Node emits a body's events outside of what ran when the request came in; listeners are to find themselves in it all the same.
 */
export function bindEvents(emitter: EventEmitter, binding: EventBinding): void {
  const { emit } = emitter
  if (emit === EventEmitter.prototype.emit) {
    const bound: Bound = emitter
    bound[bindingKey] = binding
    bound.emit = emitBound
    return
  }
  // Who has put an `emit` of their own there hears of every event.
  emitter.emit = function (this: EventEmitter, ...args): boolean {
    return binding.exchange.run(() => Reflect.apply(emit, this, args))
  }
  if (binding.closed !== undefined) emitter.prependListener('close', () => binding.closed?.(emitter))
}

/** One function for all of them: to make one for each request would cost as much as the request's own events. */
function emitBound(this: Bound, ...args: Parameters<EventEmitter['emit']>): boolean {
  const binding = this[bindingKey]
  const [event] = args
  if (event === 'close') binding?.closed?.(this)
  // Most events have nobody to hear them; an error that nobody hears is thrown all the same.
  if (event !== 'error' && this.listenerCount(event) === 0) return false
  const { emit } = EventEmitter.prototype
  if (binding === undefined || binding.exchange.isCurrent) return Reflect.apply(emit, this, args)
  return binding.exchange.run(() => Reflect.apply(emit, this, args))
}
