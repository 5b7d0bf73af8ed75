import type { HttpCheck, HttpCheckAnswer } from '../policies/ext-authz/http-check.ts'

/** Calls the clusters that external authorizers are, by the mesh's own way: with its balancing and its mutual TLS. */
export interface AuthorizerCalls {
  /**
   * Makes one unary call of gRPC.
   *
   * @param metadata names and values in turn
   * @throws when there is no OK, or `signal` ends it
   */
  unary(
    cluster: string,
    authority: string,
    path: string,
    message: Uint8Array,
    metadata: readonly string[],
    signal: AbortSignal,
  ): Promise<Uint8Array>
  /** Makes one request of HTTP. @throws when there is no answer, or `signal` ends it */
  http(cluster: string, check: HttpCheck, signal: AbortSignal): Promise<HttpCheckAnswer>
}
