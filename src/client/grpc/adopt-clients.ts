import { registerHooks } from 'node:module'
import type { ChannelInterface, ChannelOptions, ClientOptions } from '@grpc/grpc-js'

/** grpc-js's client credentials, of whatever copy of it. */
type Credentials = import('@grpc/grpc-js').ChannelCredentials
type ClientClass = new (address: string, credentials: Credentials, options?: ClientOptions) => object

/** The module of grpc-js that defines `Client`, of which every generated class is a subclass. */
interface ClientModule {
  Client: ClientClass
}

/** What {@link adoptGrpcClients} is given. */
export interface ClientAdoption {
  /** The channel of a client that is the mesh's; `null` leaves the client alone. */
  channel(target: string, credentials: Credentials, options: ChannelOptions): ChannelInterface | null
  /** Called once, when the application loads grpc-js. */
  onLoad(): void
}

const key = Symbol.for('inmesh.adopt-grpc-client')
const clientFile = '/@grpc/grpc-js/build/src/client.js'

/**
 * Makes the clients of grpc-js that the application creates take a channel of the mesh, in every copy of grpc-js that it loads from now on.
 * Nothing is loaded for it: a hook of Node's module loader waits for the module.
 */
export function adoptGrpcClients(adoption: ClientAdoption): void {
  const adopt = (module: ClientModule) => {
    adoption.onLoad()
    module.Client = adoptedClass(module.Client, adoption)
  }
  Object.defineProperty(globalThis, key, { value: adopt, configurable: true })
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context)
      // Imported modules of CommonJS come without their source, and once more with it.
      if (!url.endsWith(clientFile) || loaded.source === undefined || loaded.source === null) return loaded
      const source = typeof loaded.source === 'string' ? loaded.source : Buffer.from(loaded.source as Uint8Array).toString()
      return { ...loaded, source: `${source}\n;globalThis[Symbol.for(${JSON.stringify(key.description)})]?.(module.exports)\n` }
    },
  })
}

function adoptedClass(base: ClientClass, adoption: ClientAdoption): ClientClass {
  return class Client extends base {
    constructor(address: string, credentials: Credentials, options: ClientOptions = {}) {
      const isChosen = options.channelOverride !== undefined || options.channelFactoryOverride !== undefined
      const channel = isChosen ? null : adoption.channel(address, credentials, options)
      super(address, credentials, channel === null ? options : { ...options, channelOverride: channel })
    }
  }
}
