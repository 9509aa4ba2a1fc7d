/** What JSX becomes: React's own function under a short name, since every element of every panel calls it. */

import * as React from 'react';

export const h = React.createElement;
export const Fragment = React.Fragment;
