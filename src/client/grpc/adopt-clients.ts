import { createRequire, registerHooks } from 'node:module'
import type { ChannelCredentials, ChannelInterface, ChannelOptions } from '@grpc/grpc-js'
import { type ChannelClass, noteAdopted } from './grpc-js.ts'

/**
 * The channel of a client that is the mesh's; `null` leaves the client alone.
 *
 * @param credentials of whatever copy of grpc-js
 */
export type ChannelChoice = (target: string, credentials: ChannelCredentials, options: ChannelOptions) => ChannelInterface | null

/** The module of grpc-js that defines the class of channels, which every client asks it for. */
interface ChannelModule {
  ChannelImplementation: ChannelClass
}

const key = Symbol.for('inmesh.adopt-grpc-channels')
const channelFile = '/@grpc/grpc-js/build/src/channel.js'

/**
 * Makes the clients of grpc-js that the application creates from now on take a channel of the mesh, in every copy of grpc-js that it has loaded
 * or will load: agents that trace or measure may have come first. Nothing is loaded for it: a hook of Node's module loader waits for the module.
 */
export function adoptGrpcClients(choose: ChannelChoice): void {
  const adopt = (module: ChannelModule) => {
    module.ChannelImplementation = adoptedClass(module.ChannelImplementation, choose)
  }
  for (const [file, loaded] of Object.entries(createRequire(import.meta.url).cache))
    if (loaded?.loaded === true && isChannelFile(file)) adopt(loaded.exports)
  Object.defineProperty(globalThis, key, { value: adopt, configurable: true })
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context)
      // Imported modules of CommonJS come without their source, and once more with it.
      if (!isChannelFile(url) || loaded.source === undefined || loaded.source === null) return loaded
      const source = typeof loaded.source === 'string' ? loaded.source : Buffer.from(loaded.source as Uint8Array).toString()
      return { ...loaded, source: `${source}\n;globalThis[Symbol.for(${JSON.stringify(key.description)})]?.(module.exports)\n` }
    },
  })
}

function isChannelFile(path: string): boolean {
  return path.replaceAll('\\', '/').endsWith(channelFile)
}

function adoptedClass(base: ChannelClass, choose: ChannelChoice): ChannelClass {
  const adopted = new Proxy(base, {
    construct(target, args: ConstructorParameters<ChannelClass>, newTarget) {
      const [address, credentials, options = {}] = args
      return choose(address, credentials, options) ?? Reflect.construct(target, args, newTarget)
    },
  })
  noteAdopted(adopted, base)
  return adopted
}
