import type { Tracer, TracerProvider } from '@opentelemetry/api'
import type { Random } from '../runtime.ts'
import { version } from '../version.ts'
import type { HeadSampler } from './head-sampler.ts'
import { trace } from './opentelemetry.ts'
import { TraceIds } from './trace-ids.ts'

/** What inbound and outbound tracing share. */
export class TracingState {
  readonly ids: TraceIds
  /** The sampler of the SDK that this package started; `null` asks the SDK of the application for each span. */
  sampler: HeadSampler | null
  #tracer: Tracer | null

  constructor(random: Random) {
    this.ids = new TraceIds(random)
    this.sampler = null
    this.#tracer = null
  }

  /** The tracer that was found when somebody last looked. */
  get knownTracer(): Tracer | null {
    return this.#tracer
  }

  /** The tracer of the registered SDK; `null` while there is none. An SDK may be registered at any time. */
  get tracer(): Tracer | null {
    this.look()
    return this.#tracer
  }

  /** Looks whether an SDK has been registered. */
  look(): void {
    if (this.#tracer === null) this.#tracer = registeredTracer()
  }
}

/** The API's own provider, of whatever copy of it, tells whether there is one behind it. */
interface DelegatingProvider extends TracerProvider {
  getDelegateTracer(name: string, version: string): Tracer | undefined
}

function registeredTracer(): Tracer | null {
  const provider = trace.getTracerProvider()
  return isDelegating(provider) ? (provider.getDelegateTracer('inmesh', version) ?? null) : provider.getTracer('inmesh', version)
}

function isDelegating(provider: TracerProvider): provider is DelegatingProvider {
  return 'getDelegateTracer' in provider && typeof provider.getDelegateTracer === 'function'
}
