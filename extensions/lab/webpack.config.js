// As small as can be: styles come without comments and the spaces that only people need.
const { rspack } = require('@rspack/core');
const path = require('path');

module.exports = {
  module: {
    rules: [
      {
        test: /\.css$/,
        include: path.resolve(__dirname, 'style'),
        enforce: 'pre',
        loader: path.resolve(__dirname, 'short-styles.js')
      }
    ]
  },
  optimization: {
    minimizer: [
      new rspack.SwcJsMinimizerRspackPlugin({
        minimizerOptions: {
          compress: { passes: 3, ecma: 2020, pure_getters: true },
          mangle: true,
          format: { comments: false }
        }
      })
    ]
  }
};
