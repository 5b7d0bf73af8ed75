import { MeshHeaders, standInFor } from './mesh-headers.ts'
import { MeshResponse } from './mesh-response.ts'

let isDone = false

/**
 * Puts our classes in the place of the platform's (`instanceof Response`). Not when they are loaded: touching `Response` loads Node's own fetch,
 * 13 MB that a process which never calls ours need not have.
 */
export function standInForPlatform(): void {
  if (isDone) return
  isDone = true
  standInFor(MeshHeaders, Headers)
  standInFor(MeshResponse, Response)
}
