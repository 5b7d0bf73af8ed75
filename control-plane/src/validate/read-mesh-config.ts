import type { ExtensionProvider, MeshConfig } from '../model/extension-provider.ts'
import type { ObjectMeta } from '../model/object-meta.ts'
import { readExtensionProvider } from './read-extension-provider.ts'
import type { Value } from './value.ts'

/** Reads what counts here of Istio's MeshConfig: the authorizers among its `extensionProviders`. */
export function readMeshConfig(meta: ObjectMeta, config: Value): MeshConfig {
  const others = config
    .entries()
    .map(([key]) => key)
    .filter(key => key !== 'extensionProviders')
  if (others.length > 0) config.warn(`of a MeshConfig only extensionProviders are read here, not ${others.join(', ')}`)
  const names = new Set<string>()
  const extensionProviders = config
    .field('extensionProviders')
    .items()
    .flatMap((item): ExtensionProvider[] => {
      const provider = readExtensionProvider(item.required())
      const name = item.field('name')
      const text = name.asString() ?? ''
      if (names.has(text)) name.error(`"${text}" is there twice`)
      names.add(text)
      return provider === undefined ? [] : [provider]
    })
  return { meta, extensionProviders }
}
