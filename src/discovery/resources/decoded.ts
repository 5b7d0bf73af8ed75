/** A resource decoded into the model, or every reason why it cannot be. */
export type Decoded<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly errors: readonly string[] }
