/** The names that the parts share. */

/** The domain of translations. */
export const DOMAIN = 'nbproof';

/** Where commands stand in the palette. */
export const CATEGORY = 'nbproof';

/** Every command: `nbproof:verb-noun`. */
export const COMMANDS = {
  showAbout: 'nbproof:show-about',
  showReview: 'nbproof:show-review'
} as const;
